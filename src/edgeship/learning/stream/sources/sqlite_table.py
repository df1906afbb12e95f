"""Rows of a query on SQLite, read by a watermark: a column whose values only grow."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from edgeship.errors import InputError
from edgeship.learning.stream.sources.source import ColumnChooser, FetchedRows, Position, TableSource
from edgeship.learning.stream.sources.watermark import Watermark, check_watermark, place_rows
from edgeship.storage.adbc import quote_name as quote
from edgeship.tables.database import Database, check_query
from edgeship.untrusted import printable


class SqliteRows(TableSource):
    """A query's rows by watermark and key. Values are read as texts, of which the contract reads numbers; pictures as bytes."""

    def __init__(self, database: Database, query: str | None, watermark: str, columns: ColumnChooser) -> None:
        self.database, self.query = database, check_query(database, query)
        self.watermark = watermark
        with self._connect() as connection:
            cursor = connection.execute(f"select * from ({self.query}) limit 0")
            names = tuple(item[0] for item in cursor.description)
        check_watermark(database, watermark, names)
        self.columns = tuple(columns(names))

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(f"{self.database.uri}?mode=ro", uri=True)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise InputError(f"{self.database}: the query cannot be run ({printable(error)})") from error

    def fetch(self, position: Position, count: int) -> FetchedRows | None:
        """See `StreamSource`."""
        mark = Watermark.read(position)
        value, key = quote(self.watermark), quote(self.columns[0])
        lowest, values = (f"{value} >= ?", [mark.value]) if mark else (f"{value} is not null", [])
        chosen = ", ".join([value, *map(quote, self.columns)])
        text = f"select {chosen} from ({self.query}) where {lowest} order by {value}, cast({key} as text) limit ?"
        with self._connect() as connection:
            found = connection.execute(text, [*values, count + (len(mark.keys) if mark else 0)]).fetchall()
        rows = [row for row in found if not (mark and row[0] == mark.value and str(row[1]) in mark.keys)][:count]
        if not rows:
            return None
        names = list(self.columns)
        batch = pa.RecordBatch.from_arrays(
            [_make_column([row[at] for row in rows]) for at in range(1, len(names) + 1)], names=names
        )
        marks = [(row[0], str(row[1])) for row in rows]
        places = place_rows(self.watermark, marks)
        return FetchedRows(batch, places, [""] * len(rows), lambda done: Watermark.after(mark, marks[:done]))


def _make_column(values: Sequence[Any]) -> Any:
    """Bytes where all are, else texts: a real number by its shortest digits that give it again."""
    if any(isinstance(value, bytes) for value in values):
        return pa.array([value if isinstance(value, bytes) else None for value in values], pa.binary())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
