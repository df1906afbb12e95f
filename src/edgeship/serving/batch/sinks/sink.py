"""Where predictions go, and the ledger of what is there: the same for a database and for Parquet files."""

from __future__ import annotations

from typing import Any, Protocol

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.serving.batch.counts import Counts
from edgeship.untrusted import printable


@dataclass(frozen=True)
class Job:
    """One run over one content: rows of the same source, cut alike, through the same artifact give the same id.

    `source` is its address as people see it, `least_key` and `greatest_key` the bounds of its keys, as texts. `watermark`: the
    greatest value of the column `since`, as text; empty where there is none.
    """

    id: str
    version: str
    bundle: str
    artifact: str
    source: str
    rows: int
    chunks: int
    key_is_text: bool
    least_key: str
    greatest_key: str
    since: str = ""
    watermark: str = ""

    def overlaps(self, least: str, greatest: str) -> bool:
        """Whether keys of another job may be keys of this one."""
        if self.key_is_text:
            return least <= self.greatest_key and self.least_key <= greatest
        return int(least) <= int(self.greatest_key) and int(self.least_key) <= int(greatest)


@dataclass(frozen=True)
class Current:
    """Whose rows the view of the present ones shows when a job is done: a `version`'s, or those of the `bundle` of that digest.

    Without either it stays as it is.
    """

    version: str = ""
    bundle: str = ""


class Sink(Protocol):
    """A place for predictions. What is wrong with it is an InputError, and nothing is written then."""

    counts_name: str  # the table or file of drift counters

    def check(self) -> None:
        """Raise InputError where the place holds something else."""

    def find_watermarks(self, version: str, source: str, since: str) -> list[str]:
        """The watermarks of finished jobs of that version and source."""

    def begin(self, job: Job) -> frozenset[int]:
        """Prepare for a job; the numbers of its chunks that are in."""

    def write(self, job: Job, chunk: int, rows: Any, counts: Counts) -> bool:
        """Write a chunk with its counts and its entry in the ledger, all or none; False where another run has written it."""

    def finish(self, job: Job, current: Current) -> str:
        """Note that a job is done and change the view, both or none; the version that it shows now, empty: as before."""

    def close(self) -> None:
        """Let go of it."""


def check_version(version: str) -> None:
    """Raise InputError for what no version is called."""
    if not version or len(version) > 200 or printable(version) != version:
        raise InputError("--version: a version is called by 1 to 200 printable characters")
