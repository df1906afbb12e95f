"""What a source of a stream gives: rows in an order that never changes, and the position to go on from after each."""

from __future__ import annotations

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


class StreamSource(Protocol):
    """An opened source. Labels may be missing in rows; keys are unique, or the row is there twice."""

    kept: bool  # whether what is wrong in it can be put right: an entry of a queue cannot

    def fetch(self, position: Position, count: int) -> FetchedRows | None:
        """At most so many rows that come next; None where there are none now. Raises InputError where it is gone."""

    def settle(self, rows: FetchedRows, count: int) -> None:
        """The first `count` rows are kept for good; called again for the same ones after a crash."""

    def close(self) -> None:
        """Let go of it."""
