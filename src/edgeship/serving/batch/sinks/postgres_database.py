"""PostgreSQL by ADBC: rows are copied into a temporary table, and upserted from there."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import adbc_driver_manager as adbc
import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa

from edgeship.errors import InputError
from edgeship.serving.batch.addresses import Address
from edgeship.serving.batch.rows.outputs import KEY
from edgeship.serving.batch.sinks.database import PATIENCE
from edgeship.serving.batch.sinks.sql_text import Table, TableShape
from edgeship.storage.adbc import driver_reason, number_parameters
from edgeship.storage.adbc import quote_name as quote

T = TypeVar("T")
STAGE = "edgeship_stage"
# The transaction is to be done again: serialization failure, deadlock, and two that make the same table or view at once.
AGAIN = ("40001", "40P01", "23505", "42P07", "XX000")
ROUNDS = 20
FAILURES = (adbc.Error, pa.ArrowException, OSError)  # the last: of a stream of rows
COLUMNS = """select attname, format_type(atttypid, atttypmod), relkind::text
from pg_attribute join pg_class on pg_class.oid = attrelid
where attrelid = to_regclass(?) and attnum > 0 and not attisdropped order by attnum"""
KEYS = """select attname from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)
where indrelid = to_regclass(?) and indisprimary order by array_position(indkey::int2[], attnum)"""


class PostgresDatabase:
    """A server. A connection that is lost is made again, and the transaction done again."""

    types: Mapping[str, str] = {"text": "text", "whole": "bigint", "real": "double precision", "reals": "real[]"}
    ending = ""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._connection: Any = self._connect()

    def _connect(self) -> Any:
        try:
            return driver.connect(self.address.uri)
        except adbc.Error as error:
            raise InputError(
                f"{self.address}: no server answers there ({driver_reason(error, self.address.uri)})"
            ) from error

    def describe(self, name: str) -> TableShape | None:
        """See `database.Database`."""
        columns = self.run(COLUMNS, (quote(name),))
        if not columns:
            return None
        keys = self.run(KEYS, (quote(name),))
        return TableShape(tuple(row[:2] for row in columns), tuple(row[0] for row in keys), columns[0][2] == "v")

    def read(self, work: Callable[[], T]) -> T:
        """See `database.Database`."""
        return self.transact(work)

    def transact(self, work: Callable[[], T]) -> T:
        """See `database.Database`."""
        for number in itertools.count(1):
            try:
                result = work()
                self._connection.commit()
                return result
            except FAILURES as error:
                if self._is_alive():
                    if getattr(error, "sqlstate", None) not in AGAIN or number > ROUNDS:
                        text = "; what is written stays, the same command goes on from there"
                        raise InputError(
                            f"{self.address}: PostgreSQL refuses it ({driver_reason(error)}){text}"
                        ) from error
                elif number > ROUNDS:
                    raise InputError(
                        f"{self.address}: the connection is lost again and again ({driver_reason(error)})"
                    ) from error
                else:
                    self._reconnect()
            except BaseException:
                self._is_alive()
                raise
        raise AssertionError  # the loop ends by itself only

    def _is_alive(self) -> bool:
        """Whether the server still answers; what was begun is undone then."""
        try:
            self._connection.rollback()
            self.run("select 1")
            self._connection.rollback()
            return True
        except FAILURES:
            return False

    def _reconnect(self) -> None:
        end = time.monotonic() + PATIENCE
        self.close()
        while True:
            try:
                self._connection = self._connect()
                return
            except InputError as error:
                if time.monotonic() > end:
                    raise InputError(f"{error}; what is written stays, the same command goes on from there") from error
                time.sleep(0.5)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `database.Database`."""
        with self._connection.cursor() as cursor:
            cursor.execute(number_parameters(statement), list(parameters) or None)
            return list(cursor.fetchall()) if cursor.description else []

    def upsert(self, table: Table, version: str, rows: Any) -> None:
        """See `database.Database`. Rows go in the order of keys, so that two writers wait for each other in one order."""
        names = ", ".join(map(quote, rows.schema.names))
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(STAGE, rows, mode="create", temporary=True)
            values = f"select $1, {names} from {STAGE} where true order by {quote(KEY)}"
            cursor.execute(table.upsert(values), [version])
            cursor.execute(f"drop table {STAGE}")

    def replace_view(self, name: str, query: str) -> None:
        """See `database.Database`."""
        self.run(f"create or replace view {quote(name)} as {query}")

    def close(self) -> None:
        """See `database.Database`."""
        with contextlib.suppress(adbc.Error):
            self._connection.close()
