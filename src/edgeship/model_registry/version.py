"""A version of a bundle, as the registry keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from edgeship.bundle.metric import Count, Digest, Figure
from edgeship.light_dataclass import dataclass

TRAINING = "server-training"  # what a server model was trained on, beside the roles of a manifest's data


@dataclass(frozen=True)
class DataUse:
    """Data that a bundle was made or judged with: its digest, its file's name, and how many samples of it were taken."""

    digest: str
    source: str = ""
    samples: Count = 0


@dataclass(frozen=True)
class VersionRecord:
    """What is known of a version without opening its bundle.

    `bundle` is the digest of its manifest's file, `verdict` what its figures give by its own budget (empty: never judged),
    `artifact` the one that figures without a name of an artifact are of: what is recommended for apps, else for servers, for
    pages, else the first. `data` is by what it was for: calibration, evaluation, train, and
    `TRAINING`. `figures` and `texts` are what a search
    may name (`figures.py`); `card` is the digest of the server model's card.
    """

    bundle: Digest
    added: str
    who: str
    verdict: str
    server: str
    artifact: str = ""
    card: str = ""
    data: Mapping[str, DataUse] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def evaluation(self) -> DataUse | None:
        """The data that its figures of accuracy are of."""
        return self.data.get("evaluation")


@dataclass(frozen=True)
class Version:
    """Version `number` of the model `name`, and the aliases that point to it.

    `signature` is the digest of its bundle's signature (None: it has none), kept as it was found and checked by nobody.
    """

    name: str
    number: int
    record: VersionRecord
    aliases: tuple[str, ...] = ()
    signature: Digest | None = None


@dataclass(frozen=True)
class Promotion:
    """An alias that was pointed to a version: from which one, by whom, when (ISO 8601) and why.

    `rollback`: it went back. `champion`: the version that it was compared with (None: there was none), `claim` what it had to be,
    `evaluation` the digest of the data that decided, `reasons` what was found. `entry` counts the changes of a name.
    """

    entry: int
    alias: str
    version: int
    previous: int | None
    who: str
    when: str
    why: str
    rollback: bool = False
    champion: int | None = None
    claim: str = ""
    evaluation: str = ""
    reasons: tuple[str, ...] = ()
