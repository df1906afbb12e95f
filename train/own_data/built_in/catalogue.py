"""The built-in tasks that are learned as a person's own data is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgeship.light_dataclass import dataclass
from edgeship.train.own_data.built_in.flights import read_flights
from edgeship.train.own_data.built_in.spoken_digits import read_spoken_digits
from edgeship.train.own_data.samples import OwnData
from edgeship.train.own_data.sources.source import Source, read_source


@dataclass(frozen=True)
class BuiltIn:
    """A task: its `title` for people, and what reads its samples, with a folder for large ones."""

    name: str
    title: str
    read: Callable[[Path], OwnData]


BUILT_IN = {
    task.name: task
    for task in (
        BuiltIn(
            "flights",
            "whether a flight that leaves the gate will arrive more than 15 minutes late (a row)",
            read_flights,
        ),
        BuiltIn(
            "spoken-digits-synthetic",
            "which digit a synthetic voice says in noise (0.8 s of sound)",
            read_spoken_digits,
        ),
    )
}


def read_samples(source: Mapping[str, Any] | None, task: str | None, work: Path) -> OwnData:
    """The samples of a `source` (the fields of `Source`) or of a built-in `task`; large ones go to files in the folder `work`."""
    if task is not None:
        return BUILT_IN[task].read(work)
    fields = dict(source or {})
    return read_source(Source(**{**fields, "path": Path(fields["path"])}), work)
