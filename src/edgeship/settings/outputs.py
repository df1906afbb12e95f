"""`[output.NAME]` of `edgeship.toml`: what an app makes of an output's scores, beside what the model itself tells."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import Float32
from edgeship.toml_tables import Table


@dataclass(frozen=True)
class OutputForm(Table):
    """What an app makes of an output's scores; None where nobody stated it."""

    threshold: Annotated[
        Float32 | None,
        Meta(
            title="a number",
            description="Scores below it are no answer; of one score with two labels it is the second from there on.",
            examples=[0.5],
        ),
    ] = None
