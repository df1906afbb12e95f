"""What a source of a stream gives: rows in an order that never changes, and the position to go on from after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from edgeship.light_dataclass import dataclass

Position = Any  # JSON; None: the beginning
# The columns that are read, the key first, of all that a source has; raises InputError where one that is needed is not in it.
ColumnChooser = Callable[[Sequence[str]], Sequence[str]]


@dataclass(frozen=True)
class FetchedRows:
    """Rows as an Arrow record batch: key, label and the columns of inputs.

    `places`: of each row, for people. `faults`: why a row cannot be read, empty where it can. `position_after(n)`: what to go on
    from once the first n are taken. `predictions`: the class that was answered to each already, by which version; none where
    rows are predicted now.
    """

    rows: Any
    places: Sequence[str]
    faults: Sequence[str]
    position_after: Callable[[int], Position]
    predictions: Sequence[tuple[int, int]] = ()

    def __len__(self) -> int:
        return int(self.rows.num_rows)


@dataclass(frozen=True)
class Answer:
    """What is answered to a request: its key, the class by number and name, the version that says so; or the `fault`."""

    key: str
    number: int = -1
    name: str = ""
    version: int = 0
    fault: str = ""


# Answers the rows of a record batch, of which places and faults are known.
Answering = Callable[[Any, Sequence[str], Sequence[str]], Sequence[Answer]]


class StreamSource(Protocol):
    """An opened source. Labels may be missing in rows; keys are unique, or the row is there twice."""

    kept: bool  # whether what is wrong in it can be put right: an entry of a queue cannot

    def serve(self, answering: Answering) -> int:
        """Answer the requests that are there, each once; how many."""

    def count_answers(self) -> int:
        """How many requests were ever answered."""

    def fetch(self, position: Position, count: int) -> FetchedRows | None:
        """At most so many rows that come next; None where there are none now. Raises InputError where it is gone."""

    def settle(self, rows: FetchedRows, count: int) -> None:
        """The first `count` rows are kept for good; called again for the same ones after a crash."""

    def wait(self, seconds: float) -> None:
        """Until something may be new, but no longer than that."""

    def close(self) -> None:
        """Let go of it."""


class TableSource:
    """What sources have in common that know nothing of who reads them: the position is all that there is to keep."""

    kept = True

    def serve(self, answering: Answering) -> int:
        """See `StreamSource`: nobody asks here."""
        return 0

    def count_answers(self) -> int:
        """See `StreamSource`."""
        return 0

    def settle(self, rows: FetchedRows, count: int) -> None:
        """See `StreamSource`."""

    def wait(self, seconds: float) -> None:
        """See `StreamSource`."""
        time.sleep(seconds)

    def close(self) -> None:
        """See `StreamSource`."""
