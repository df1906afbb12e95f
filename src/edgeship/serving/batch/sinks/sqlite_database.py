"""SQLite, by Python's own module: write-ahead log, one writer at a time, others wait for it."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from edgeship.errors import InputError
from edgeship.serving.batch.sinks.database import PATIENCE
from edgeship.serving.batch.sinks.sql_text import Table, TableShape
from edgeship.storage.adbc import quote_name as quote
from edgeship.untrusted import printable

T = TypeVar("T")
LATER = "what is written stays; the same command goes on from there"


class SqliteDatabase:
    """A file. It is made by the first transaction, not before."""

    types: Mapping[str, str] = {"text": "text", "whole": "bigint", "real": "double precision", "reals": "text"}
    ending = " without rowid"

    def __init__(self, file: Path) -> None:
        self.file = file
        self._opened: sqlite3.Connection | None = None
        if file.exists():
            self._connect()

    def _connect(self) -> sqlite3.Connection:
        if self._opened is None:
            with self._in_our_words():
                connection = sqlite3.connect(self.file, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
                _set_journal(connection)
                connection.execute("pragma synchronous = normal")
                self._opened = connection
        return self._opened  # type: ignore[return-value]  # set, or raised

    def describe(self, name: str) -> TableShape | None:
        """See `database.Database`."""
        if self._opened is None:
            return None
        found = self.run("select type from sqlite_master where lower(name) = lower(?)", (name,))
        rows = self.run(f"pragma table_info({quote(name)})")
        if not found:
            return None
        keys = sorted((row[5], row[1]) for row in rows if row[5])
        columns = tuple((row[1], row[2].lower()) for row in rows)
        return TableShape(columns, tuple(key for _, key in keys), found[0][0] == "view")

    def read(self, work: Callable[[], T]) -> T:
        """See `database.Database`."""
        with self._in_our_words():
            return work()

    def transact(self, work: Callable[[], T]) -> T:
        """See `database.Database`."""
        connection = self._connect()
        with self._in_our_words():
            connection.execute("begin immediate")
            try:
                result = work()
                connection.execute("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("rollback")
                raise
        return result

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `database.Database`."""
        return self._connect().execute(statement, tuple(parameters)).fetchall()

    def upsert(self, table: Table, version: str, rows: Any) -> None:
        """See `database.Database`; lists are JSON."""
        marks = ", ".join("?" * (rows.num_columns + 1))
        columns = [_plain_values(column) for column in rows.columns]
        statement = table.upsert(f"values ({marks})")
        self._connect().executemany(statement, zip(itertools.repeat(version), *columns))  # the first is endless

    def replace_view(self, name: str, query: str) -> None:
        """See `database.Database`."""
        self.run(f"drop view if exists {quote(name)}")
        self.run(f"create view {quote(name)} as {query}")

    @contextlib.contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
            what = "no room on its disk, or the disk fails" if full else "SQLite refuses it"
            raise InputError(f"{printable(self.file)}: {what} ({printable(error)}); {LATER}") from error

    def close(self) -> None:
        """See `database.Database`."""
        if self._opened is not None:
            self._opened.close()


def _set_journal(connection: sqlite3.Connection) -> None:
    """Write-ahead log: readers and the writer do not wait for each other. SQLite itself does not wait to change to it."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def _plain_values(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return list(map(json.dumps, values)) if pa.types.is_list(column.type) else values
