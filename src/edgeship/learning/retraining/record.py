"""What the registry keeps of a retraining, with the version that it made."""

from __future__ import annotations

import json
from typing import Literal

from edgeship.bundle.metric import Digest
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.promotion import REFUSAL
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import DataUse, Version
from edgeship.typed_json import convert
from edgeship.types import to_json

SCHEMA = 1
TAG = "edgeship.retraining"  # of a version
ChallengerVerdict = Literal["better", "refused"]


@dataclass(frozen=True)
class AuditGain:
    """The challenger beside the champion on labelled samples: both figures, and the gain with its paired interval.

    `n` samples, of which `gained` are right only with the challenger and `lost` only with the champion (None: the metric is no
    share of right answers). `confidence`: of the interval; `p`: one-sided, times how often these samples were asked. `reason`:
    why there are no figures.
    """

    metric: str = ""
    share: bool = False
    n: int = 0
    champion: float | None = None
    challenger: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    gained: int | None = None
    lost: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Retraining:
    """A challenger's record: from which champion, why, on what, and what came of the comparison.

    `key` covers all that it was made from. `pools`: labelled samples that it learned, its own and its forebears', as they lie
    in the registry by their digest; `audits` those that judged, the newest first; `training`: the old training data. `replay`
    of its samples were trained on. `evaluation_uses`: how many versions the evaluation data has judged by then, `audit_uses` how
    many challengers the newest audit. `when` (ISO 8601) it was evaluated. `why` it was trained, `reasons` for the verdict.
    """

    key: Digest
    champion: int
    verdict: ChallengerVerdict
    why: tuple[str, ...]
    reasons: tuple[str, ...]
    when: str
    seed: int
    recipe: str
    server: Digest
    pools: tuple[DataUse, ...]
    audits: tuple[DataUse, ...]
    replay: int
    evaluation_uses: int
    audit_uses: int
    gain: AuditGain
    training: DataUse | None = None
    schema: int = SCHEMA


def read_retrainings(store: Store, name: str) -> dict[int, Retraining]:
    """The records of all challengers of a name, by version. Raises InputError for a changed one, or of a later edgeship."""
    found = {}
    for number, text in store.read_tags(name, TAG).items():
        place = f"{store.place}: {name} version {number}: its tag {TAG}"
        try:
            content = json.loads(text)
            if content.get("schema") != SCHEMA:
                raise InputError(f"is of schema {content.get('schema')}, this edgeship reads {SCHEMA}")
            found[number] = convert(Retraining, content)
        except (InputError, ValueError, AttributeError) as error:
            raise InputError(f"{place} was changed or is damaged: {error}") from error
    return found


def write_retraining(store: Store, version: Version, record: Retraining, refusal: str = "") -> None:
    """Keep the record of a version, and why it was refused, which keeps it from being promoted; inside of `store.writing()`."""
    if refusal or version.number in store.read_tags(
        version.name, REFUSAL
    ):  # with another audit the same model may be better
        store.write_tag(version, REFUSAL, refusal)
    store.write_tag(version, TAG, json.dumps(to_json(record)))
