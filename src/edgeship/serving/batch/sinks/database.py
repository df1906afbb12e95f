"""A database that predictions are written to: what the ledger asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from edgeship.serving.batch.sinks.sql_text import Table, TableShape

T = TypeVar("T")
PATIENCE = 60.0  # seconds that another writer, or a server that starts again, is waited for


class Database(Protocol):
    """An opened database. Parameters of statements are written as `?`."""

    types: Mapping[str, str]
    ending: str

    def describe(self, name: str) -> TableShape | None:
        """The table or view of that name, None where there is none; inside of `read` or `transact`."""

    def read(self, work: Callable[[], T]) -> T:
        """What `work` returns, which only reads. Nothing is made that was not there."""

    def transact(self, work: Callable[[], T]) -> T:
        """What `work` returns, done in one transaction. It may be done again, where the connection was lost meanwhile.

        Raises InputError where the database refuses it: nothing of it is written then.
        """

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives; inside of `transact`."""

    def upsert(self, table: Table, version: str, rows: Any) -> None:
        """Write a record batch under a model's version, its first column being the keys; inside of `transact`."""

    def replace_view(self, name: str, query: str) -> None:
        """Make a view another query's, in one go for all who read it; inside of `transact`."""

    def close(self) -> None:
        """Let go of it."""
