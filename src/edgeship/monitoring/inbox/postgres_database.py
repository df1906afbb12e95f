"""An inbox on a PostgreSQL server, by ADBC: for collectors on several machines.

Its tables have a schema of their own, `edgeship_inbox`, so that a database has one inbox beside whatever else it holds. Writers
wait for each other at the one row of the table `inbox`, which a server that collects holds for milliseconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import adbc_driver_manager as adbc
import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa

from edgeship.errors import InputError
from edgeship.monitoring.inbox.database import PATIENCE, SCHEMA, NoInboxError, StoreError
from edgeship.storage.adbc import driver_reason, number_parameters

T = TypeVar("T")
LOCK = 0x65647368  # 'edsh': of those who make the tables
FAILURES = (adbc.Error, pa.ArrowException, OSError)
TABLES = f"""
create table inbox(id integer primary key check(id = 1), schema integer not null);
create table report(id bigint generated always as identity primary key, key text collate "C" not null unique,
                    "window" text collate "C" not null, profile text not null, received bigint not null,
                    late boolean not null, digest bytea not null, body bytea not null);
create index report_window on report("window", id);
create index report_late on report(id) where late;
create table conflict(id bigint generated always as identity primary key, key text collate "C" not null,
                      received bigint not null, digest bytea not null, body bytea not null, unique(key, digest));
create table refusal(day text not null, reason text not null, count bigint not null, primary key(day, reason));
create table server(id integer primary key check(id = 1), alive bigint not null);
create table profile(digest text primary key, body bytea not null);
create table bundle(manifest text not null, profile text not null, primary key(manifest, profile));
insert into inbox values(1, {SCHEMA})
"""
TYPES = {"received": pa.int64(), "late": pa.bool_(), "digest": pa.binary(), "body": pa.binary()}  # of the others: text
# Who is silent inside of a transaction, as a machine without power, must not keep the others out for hours; a client forgets
# what was taken, so that a crash of the server must not lose it.
SETTINGS = f"""select set_config('search_path', 'edgeship_inbox', false), set_config('lock_timeout', '{PATIENCE:.0f}s', false),
set_config('idle_in_transaction_session_timeout', '{PATIENCE:.0f}s', false),
set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false)"""
# Not by `to_regclass`, which may still say what was right before the lock was waited for.
COLUMNS_OF_INBOX = """select attname::text from pg_attribute join pg_class on pg_class.oid = attrelid
join pg_namespace on pg_namespace.oid = relnamespace where nspname = 'edgeship_inbox' and relname = 'inbox'"""
# Of a server that is gone without a word.
OPTIONS = {"connect_timeout": 10, "keepalives_idle": 10, "tcp_user_timeout": 30_000, "application_name": "edgeship"}
SAID = {
    "53100": "no room on its disk",
    "55P03": "another process writes for too long",
    "42501": "the user has no right to",
    "25006": "it takes no writes",
}


class PostgresDatabase:
    """A server. A connection that was lost is made again, where nothing had been begun on it.

    Raises NoInboxError where there is no inbox, InputError where it is of another schema, and StoreError where the server does
    not answer or refuses it.
    """

    of_keys = "key in (select jsonb_array_elements_text(?::jsonb))"

    def __init__(self, place: str, uri: str, *, create: bool) -> None:
        self._place = place
        self._uri = _add_options(uri)
        self._opened: Any = None
        self._inside = False
        try:
            self._open(create)
        except BaseException:
            self.close()
            raise

    def _open(self, create: bool) -> None:
        schema = self._read_schema()
        if schema is None and create:
            with self._transaction(lambda: self._execute("select pg_advisory_xact_lock(?)", (LOCK,))):
                schema = self._read_schema()  # another process may have been first
                if schema is None:
                    self._make_tables()
                    schema = SCHEMA
        if schema is None:
            raise NoInboxError(f"{self._place}: no inbox is there; `edgeship monitor collect` and `ingest` begin one")
        if schema != SCHEMA:
            raise InputError(
                f"{self._place}: an inbox of schema {schema}, this edgeship reads {SCHEMA}; choose another --store"
            )

    def _read_schema(self) -> int | None:
        """The version of the tables; None where there are none."""
        columns = self.run(COLUMNS_OF_INBOX)
        if not columns:
            return None
        rows = self.run("select schema from edgeship_inbox.inbox") if ("schema",) in columns else []
        if not rows:
            raise InputError(
                f"{self._place}: its schema edgeship_inbox is no inbox of edgeship; choose another --store"
            )
        return int(rows[0][0])

    def _make_tables(self) -> None:
        if not self.run("select 1 from pg_namespace where nspname = 'edgeship_inbox'"):  # else somebody made it for us
            self.run("create schema edgeship_inbox")
        for statement in TABLES.split(";"):
            self.run(statement)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `database.InboxDatabase`."""
        return self._try(lambda: self._execute(statement, parameters))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """See `database.InboxDatabase`; by COPY."""
        if not rows:
            return

        def copy() -> None:
            arrays = [
                pa.array(values, TYPES.get(name, pa.string()))
                for name, values in zip(columns, zip(*rows, strict=True), strict=True)
            ]
            with self._opened.cursor() as cursor:
                cursor.adbc_ingest(table, pa.table(arrays, list(columns)), mode="append")

        self._try(copy)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `database.InboxDatabase`."""
        with self._transaction(lambda: self._execute("select schema from inbox for update")):
            yield

    @contextlib.contextmanager
    def _transaction(self, lock: Callable[[], object]) -> Iterator[None]:
        """Statements see what was written by whoever had the lock before: each has a snapshot of its own."""

        def begin() -> None:
            self._execute("begin isolation level read committed")
            lock()

        self._try(begin)
        self._inside = True
        try:
            yield
            self.run("commit")
        except BaseException:
            self._is_alive()
            raise
        finally:
            self._inside = False

    def _try(self, work: Callable[[], T]) -> T:
        """What `work` gives, on a new connection where the one that is here was lost and nothing had been begun on it."""
        for again in (not self._inside, False):
            try:
                if self._opened is None:
                    self._connect()
                return work()
            except FAILURES as error:
                alive = self._is_alive()
                if alive or not again:
                    raise self._describe(error, alive) from error
        raise AssertionError  # the second round returns or raises

    def _connect(self) -> None:
        self._opened = driver.connect(self._uri, autocommit=True)
        self._execute(SETTINGS)

    def _execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._opened.cursor() as cursor:
            cursor.execute(number_parameters(statement), list(parameters) or None)
            return list(cursor.fetchall()) if cursor.description else []

    def _is_alive(self) -> bool:
        """Whether the server still answers; what was begun is undone. Where not, the connection is let go."""
        if self._opened is not None:
            with contextlib.suppress(*FAILURES):
                self._execute("rollback")
                return True
        self.close()
        return False

    def _describe(self, error: BaseException, alive: bool) -> StoreError:
        what = SAID.get(
            str(getattr(error, "sqlstate", "")), "PostgreSQL refuses it" if alive else "no server answers there"
        )
        return StoreError(f"{self._place}: {what} ({driver_reason(error, self._uri)}); what was taken before stays")

    def close(self) -> None:
        """See `database.InboxDatabase`."""
        opened, self._opened = self._opened, None
        if opened is not None:
            with contextlib.suppress(*FAILURES):
                opened.close()


def _add_options(uri: str) -> str:
    """The address with our options, where it does not have its own."""
    missing = [f"{name}={value}" for name, value in OPTIONS.items() if f"{name}=" not in uri]
    return "".join((uri, "&" if "?" in uri else "?", "&".join(missing))) if missing else uri
