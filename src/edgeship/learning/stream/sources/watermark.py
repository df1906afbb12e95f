"""A position in a table that grows: the greatest value of a column that was taken, and the keys that were taken at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeship.errors import InputError
from edgeship.learning.stream.sources.source import Position
from edgeship.light_dataclass import dataclass
from edgeship.serving.batch.rows.columns import list_names
from edgeship.tables.database import Database
from edgeship.untrusted import printable


@dataclass(frozen=True)
class Watermark:
    """`value` of the column, as JSON has it; `keys` that were taken with this very value: others may come with it later."""

    value: Any
    keys: frozenset[str]

    @staticmethod
    def read(position: Position) -> Watermark | None:
        """The watermark of a position; None at the beginning."""
        return None if position is None else Watermark(position["value"], frozenset(position["keys"]))

    @staticmethod
    def after(before: Watermark | None, taken: Sequence[tuple[Any, str]]) -> Position:
        """The position once rows, by value and key and in their order, are taken as well."""
        if not taken:
            return None if before is None else {"value": before.value, "keys": sorted(before.keys)}
        value = taken[-1][0]
        keys = {key for other, key in taken if other == value}
        if before and before.value == value:
            keys |= before.keys
        return {"value": value, "keys": sorted(keys)}


def check_watermark(database: Database, column: str, names: Sequence[str]) -> None:
    """Raise InputError for a column that is not there."""
    if column not in names:
        raise InputError(f"{database}: no column {printable(column)} (--watermark); it has {list_names(names)}")


def place_rows(column: str, marks: Sequence[tuple[Any, str]]) -> list[str]:
    """Where rows are, for people."""
    return [f"{printable(column)} {printable(str(value))}, key {printable(key)}" for value, key in marks]
