"""An inbox in a file of SQLite: its tables, their version, and SQLite's errors in our words."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeship.errors import CANNOT_WRITE, InputError
from edgeship.monitoring.inbox.database import PATIENCE, SCHEMA, NoInboxError, StoreError
from edgeship.storage.atomic import make_folder
from edgeship.untrusted import printable

MARK = 0x65647368  # 'edsh', by which SQLite's header tells whose file it is
# Without what SQLite 3.34 does not know (strict tables, `returning`): enterprise distributions have it beside Python 3.11.
TABLES = """
create table report(id integer primary key, key text not null, window text not null, profile text not null,
                    received integer not null, late integer not null, digest blob not null, body blob not null);
create unique index report_key on report(key);
create index report_window on report(window);
create index report_late on report(id) where late;
create table conflict(id integer primary key, key text not null, received integer not null, digest blob not null,
                      body blob not null, unique(key, digest));
create table refusal(day text not null, reason text not null, count integer not null, primary key(day, reason));
create table server(id integer primary key check(id = 1), alive integer not null);
create table profile(digest text primary key, body blob not null);
create table bundle(manifest text not null, profile text not null, primary key(manifest, profile));
"""


class SqliteDatabase:
    """A file. Raises InputError as `connect`."""

    of_keys = "key in (select value from json_each(?))"

    def __init__(self, file: Path, *, create: bool) -> None:
        self._file = file
        self._connection = connect(file, create=create)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `database.InboxDatabase`."""
        with _in_our_words(self._file):
            return self._connection.execute(statement, parameters).fetchall()

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """See `database.InboxDatabase`."""
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        with _in_our_words(self._file):
            self._connection.executemany(f"insert into {table}({names}) values({marks})", rows)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `database.InboxDatabase`."""
        with _in_our_words(self._file), _transaction(self._connection):
            yield

    def close(self) -> None:
        """See `database.InboxDatabase`."""
        self._connection.close()


def connect(file: Path, *, create: bool) -> sqlite3.Connection:
    """The inbox in a file; with `create` a new one where there is none.

    Whoever uses it, does so from one thread at a time. Raises NoInboxError where there is none, InputError where it is of another
    schema or something else, or its folder cannot be made, and StoreError where SQLite fails.
    """
    place = printable(file)
    if create:
        _make_folder(file)
    elif not file.is_file():
        raise NoInboxError(f"{place}: no inbox is there; `edgeship monitor collect` and `ingest` begin one")
    with _in_our_words(file):
        connection = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            _open(connection, place, create)
        except BaseException:
            connection.close()
            raise
    return connection


def _make_folder(file: Path) -> None:
    try:
        make_folder(file.parent)
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        raise InputError(f"{printable(file)}: cannot be made ({error.strerror}); choose another --store") from error


def _open(connection: sqlite3.Connection, place: str, create: bool) -> None:
    tables, mark, schema = _read_header(connection)
    if not tables and create:
        _set_journal(connection)
        with _transaction(connection):
            tables, mark, schema = _read_header(connection)  # another process may have been first
            if not tables:
                for statement in filter(str.strip, TABLES.split(";")):
                    connection.execute(statement)
                connection.execute(f"pragma application_id = {MARK}")
                connection.execute(f"pragma user_version = {SCHEMA}")
                tables, mark, schema = _read_header(connection)
    if mark != MARK:
        raise InputError(f"{place}: is no inbox of edgeship; choose another --store")
    if schema != SCHEMA:
        raise InputError(f"{place}: an inbox of schema {schema}, this edgeship reads {SCHEMA}; choose another --store")
    _set_journal(connection)
    connection.execute("pragma synchronous = full")  # a client forgets what was taken: a power cut must not lose it
    connection.execute("pragma cache_size = -65536")


def _read_header(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """How many tables there are, whose file it is, and the version of its schema."""
    tables, mark, schema = (
        connection.execute(statement).fetchone()[0]
        for statement in ("select count(*) from sqlite_master", "pragma application_id", "pragma user_version")
    )
    return tables, mark, schema


def _set_journal(connection: sqlite3.Connection) -> None:
    """Write-ahead log: readers do not wait for the writer. SQLite itself does not wait to change to it."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Inside, all is written or nothing; one writer at a time."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("rollback")
        raise


@contextlib.contextmanager
def _in_our_words(file: Path) -> Iterator[None]:
    """SQLite's errors as StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        what = {
            sqlite3.SQLITE_FULL: "no room on its disk",
            sqlite3.SQLITE_IOERR: "no room on its disk, or the disk fails",
            sqlite3.SQLITE_NOTADB: "is no inbox of edgeship; choose another --store",
        }.get(code, "SQLite refuses it")
        raise StoreError(f"{printable(file)}: {what} ({printable(error)}); what was taken before stays") from error
