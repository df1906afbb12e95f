"""Rows of a SQL query on SQLite or PostgreSQL, ordered by the key, by ADBC's streams of record batches.

All passes of a run read one snapshot: they are in one transaction that writes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import pyarrow as pa

from edgeship.deploy.contract.inputs import ContractInput
from edgeship.errors import InputError
from edgeship.serving.batch.addresses import Address
from edgeship.serving.batch.rows.columns import column_types
from edgeship.serving.batch.sources.files import Lowest
from edgeship.storage.adbc import driver_reason
from edgeship.storage.adbc import quote_name as quote

SNAPSHOT = "set transaction isolation level repeatable read, read only"
BATCH_ROWS = "adbc.sqlite.query.batch_rows"


class SqlQuery:
    """A query; `key` is the column that its rows are ordered by."""

    def __init__(self, address: Address, query: str, key: str, inputs: Sequence[ContractInput]) -> None:
        self.address, self.query, self.key, self.inputs = address, query.strip().rstrip(";"), key, inputs
        self._connection = self._connect()
        with self._in_our_words():
            if address.kind == "postgresql":
                self._connection.cursor().execute(SNAPSHOT)
            with self._stream(f"select * from ({self.query}) as q limit 0") as reader:
                self.names = tuple(reader.schema.names)
                self._kinds = {field.name: field.type for field in reader.schema}

    def _connect(self) -> Any:
        driver: Any = import_module(f"adbc_driver_{self.address.kind}.dbapi")
        uri = f"{self.address.uri}?mode=ro" if self.address.kind == "sqlite" else self.address.uri
        with self._in_our_words():
            return driver.connect(uri)

    def read(self, columns: Sequence[str], size: int, lowest: Lowest | None = None) -> Iterator[Any]:
        """See `files.Source`."""
        types = column_types(self.inputs, self.names)
        chosen = ", ".join(self._select(name, types.get(name)) for name in columns)
        text = f"select {chosen} from ({self.query}) as q"
        values = []
        if lowest:
            mark = "?" if self.address.kind == "sqlite" else "$1"
            text, values = f"{text} where {quote(lowest[0])} >= {mark}", [lowest[1].as_py()]
        with self._in_our_words(), self._stream(f"{text} order by {self._order()}", values, size) as reader:
            yield from reader

    def _select(self, name: str, kind: Any) -> str:
        """A column as the model takes it, where the database may have another type for it."""
        column = quote(name)
        if self.address.kind == "sqlite":  # a cast would make 0 of a text
            real = f"case typeof({column}) when 'integer' then cast({column} as real) else {column} end"
            return f"{real} as {column}" if kind is not None and pa.types.is_floating(kind) else column
        here = self._kinds[name]
        if kind is not None and not here.equals(kind):
            target = (
                "text" if pa.types.is_string(kind) else "double precision" if pa.types.is_floating(kind) else "bigint"
            )
            return f"{column}::{target} as {column}"
        if name == self.key:
            return f"{column}::{'bigint' if pa.types.is_integer(here) else 'text'} as {column}"
        return column

    def _order(self) -> str:
        if self.address.kind == "postgresql" and not pa.types.is_integer(self._kinds[self.key]):
            return f'{quote(self.key)}::text collate "C"'
        return quote(self.key)

    @contextlib.contextmanager
    def _stream(self, text: str, values: Sequence[Any] = (), size: int = 1024) -> Iterator[Any]:
        with self._connection.cursor() as cursor:
            if self.address.kind == "sqlite":
                cursor.adbc_statement.set_options(**{BATCH_ROWS: str(size)})
            cursor.execute(text, list(values) or None)
            with cursor.fetch_record_batch() as reader:
                yield reader

    @contextlib.contextmanager
    def _in_our_words(self) -> Iterator[None]:
        import adbc_driver_manager as adbc

        try:
            yield
        except (adbc.Error, pa.ArrowException) as error:
            raise InputError(f"{self.address}: the query cannot be run ({driver_reason(error)})") from error
        except (
            OSError
        ) as error:  # what a stream of rows raises: of another type than the first ones, a server that has gone
            raise InputError(f"{self.address}: its rows cannot be read ({driver_reason(error)})") from error

    def close(self) -> None:
        """End the transaction and the connection."""
        import adbc_driver_manager as adbc

        with contextlib.suppress(adbc.Error):  # a server that has gone
            self._connection.close()
