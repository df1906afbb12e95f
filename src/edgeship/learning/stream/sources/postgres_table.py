"""Rows of a query on PostgreSQL, read by a watermark: a column whose values only grow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import adbc_driver_manager as adbc
import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa

from edgeship.errors import InputError
from edgeship.learning.stream.sources.source import ColumnChooser, FetchedRows, Position, TableSource
from edgeship.learning.stream.sources.watermark import Watermark, check_watermark, place_rows
from edgeship.storage.adbc import driver_reason
from edgeship.storage.adbc import quote_name as quote
from edgeship.tables.database import Database, check_query

MARK, KEY = "edgeship_mark", "edgeship_key"


class PostgresRows(TableSource):
    """A query's rows by watermark and key; each fetch is a statement of its own, which sees what was committed by then."""

    def __init__(self, database: Database, query: str | None, watermark: str, columns: ColumnChooser) -> None:
        self.database, self.query = database, check_query(database, query)
        self.watermark = watermark
        self._connection: Any = None
        with self._cursor() as cursor:
            cursor.execute(f"select * from ({self.query}) as q limit 0")
            self._fields = {field.name: field for field in cursor.fetch_arrow_table().schema}
            check_watermark(database, watermark, tuple(self._fields))
            self.columns = tuple(columns(tuple(self._fields)))
            kind = f"pg_typeof(q.{quote(watermark)})::text"  # also of a table without rows
            cursor.execute(f"select {kind} from (select 1) as one left join ({self.query}) as q on true limit 1")
            self._type = str(cursor.fetchone()[0])

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        try:
            if self._connection is None:
                self._connection = driver.connect(self.database.uri, autocommit=True)
            with self._connection.cursor() as cursor:
                yield cursor
        except (adbc.Error, pa.ArrowException, OSError) as error:
            reason = driver_reason(error, self.database.uri)
            raise InputError(f"{self.database}: its rows cannot be read ({reason})") from error

    def fetch(self, position: Position, count: int) -> FetchedRows | None:
        """See `StreamSource`."""
        mark = Watermark.read(position)
        value, key = quote(self.watermark), quote(self.columns[0])
        lowest, values = (
            (f"{value} >= ($1::text)::{self._type}", [mark.value]) if mark else (f"{value} is not null", [])
        )
        chosen = [f"{value}::text as {MARK}", f"{key}::text as {KEY}", *map(self._select, self.columns)]
        limit = count + (len(mark.keys) if mark else 0)
        text = (
            f"select {', '.join(chosen)} from ({self.query}) as q where {lowest} "
            f'order by {value}, {key}::text collate "C" limit {limit}'
        )
        with self._cursor() as cursor:
            cursor.execute(text, values or None)
            table = cursor.fetch_arrow_table()
        found = list(zip(table.column(MARK).to_pylist(), map(str, table.column(KEY).to_pylist()), strict=True))
        new = [at for at, item in enumerate(found) if not (mark and item[0] == mark.value and item[1] in mark.keys)][
            :count
        ]
        if not new:
            return None
        batch = table.take(pa.array(new)).select(list(self.columns)).combine_chunks().to_batches()[0]
        marks = [found[at] for at in new]
        places = place_rows(self.watermark, marks)
        return FetchedRows(batch, places, [""] * len(new), lambda done: Watermark.after(mark, marks[:done]))

    def _select(self, name: str) -> str:
        """A column as the contract reads it: numbers, texts, bytes and lists as they are, others as texts."""
        field, column = self._fields[name], quote(name)
        tests, kind = pa.types, field.type
        type_name = (field.metadata or {}).get(b"ADBC:postgresql:typname")
        if type_name == b"numeric":
            return f"{column}::double precision as {column}"
        known = (
            *(tests.is_integer, tests.is_floating, tests.is_boolean, tests.is_string, tests.is_large_string),
            *(tests.is_list, tests.is_large_list, tests.is_fixed_size_list),
        )
        plain = any(test(kind) for test in known) or (type_name is None and tests.is_binary(kind))
        return column if plain else f"{column}::text as {column}"

    def close(self) -> None:
        """See `StreamSource`."""
        if self._connection is not None:
            with contextlib.suppress(adbc.Error):  # a server that has gone
                self._connection.close()
