"""What a stream answers: its intervals, and how right the model was on rows before it learned them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgeship.bundle.metric import Digest
from edgeship.light_dataclass import dataclass

SnapshotVerdict = Literal["accepted", "refused"]


@dataclass(frozen=True)
class Share:
    """`right` of `rows` rows, each predicted before it was learned; `low` and `high`: the 95 % interval (Wilson 1927)."""

    rows: int
    right: int
    accuracy: float | None
    low: float | None
    high: float | None


def count_share(right: int, rows: int) -> Share:
    """The share with its interval: Wilson 1927, J. of the American Statistical Association 22:209, by scipy."""
    if not rows:
        return Share(0, 0, None, None, None)
    from scipy.stats import binomtest

    interval = binomtest(right, rows).proportion_ci(0.95, method="wilson")
    return Share(rows, right, right / rows, float(interval.low), float(interval.high))


@dataclass(frozen=True)
class DriftSign:
    """ADWIN saw the share of wrong answers rise at `row` of the stream: from `before` to `now`."""

    row: int
    before: float
    now: float


@dataclass(frozen=True)
class ArtifactDelta:
    """What a device that has the parent's artifact loads of a new one: a bsdiff4 patch of `patch` bytes for a file of `bytes`."""

    artifact: str
    bytes: int
    patch: int

    @property
    def ratio(self) -> float:
        """The patch's share of the file."""
        return self.patch / self.bytes


@dataclass(frozen=True)
class IntervalRecord:
    """An interval: `share` of right answers by version `predicted_by`, what was learned from its rows, and what came of that.

    `first` and `last` number its rows in the stream. `ended`: why it closed: rows, time or drift. `version` is the snapshot's in
    the registry (None: the loss did not stay finite), `parent` that whose weights it began with, `server` the digest of its
    server model, `rows_digest` that of the labelled rows as the registry's files have them. `reasons`: for the verdict.
    `deltas`: of an accepted one, to its parent; `published`: its number in the channel.
    """

    number: int
    first: int
    last: int
    ended: str
    predicted_by: int
    parent: int
    version: int | None
    verdict: SnapshotVerdict
    reasons: tuple[str, ...]
    share: Share
    replay: int = 0
    rows_digest: Digest | None = None
    server: Digest | None = None
    drift: DriftSign | None = None
    deltas: tuple[ArtifactDelta, ...] = ()
    published: int | None = None


@dataclass(frozen=True)
class RowCounts:
    """Rows that taught nothing: without a label, there already, or set aside as they cannot be read."""

    unlabelled: int = 0
    repeated: int = 0
    set_aside: int = 0


@dataclass(frozen=True)
class StreamResult:
    """A stream as it stands. `model`: the version that predicts now; `waiting`: rows of the interval that is not closed yet.

    `new`: intervals that were closed in this run, `refused` of which the gate refused. `table`, `page` and `quarantine` lie in
    the folder of the state. `answered`: requests of a queue that have an answer.
    """

    name: str
    champion: int
    model: int
    share: Share
    counts: RowCounts
    intervals: tuple[IntervalRecord, ...]
    waiting: int
    new: int
    refused: int
    page: Path
    table: Path
    quarantine: Path | None = None
    answered: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether no row came at all."""
        counts = self.counts
        return not (self.share.rows or counts.unlabelled or counts.repeated or counts.set_aside or self.answered)
