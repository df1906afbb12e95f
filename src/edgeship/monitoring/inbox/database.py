"""A database that an inbox lies in: what the inbox asks of it. The SQL that both understand is the inbox's own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from edgeship.errors import InputError

SCHEMA = 1
PATIENCE = 30.0  # seconds for which another process may write


class StoreError(InputError):
    """The store cannot be read or written now; what was written before stays."""


class NoInboxError(InputError):
    """Nothing is where an inbox is looked for."""


class InboxDatabase(Protocol):
    """An opened database, used by one thread at a time. Parameters of statements are written as `?`."""

    of_keys: str
    """The condition that a `key` is in a JSON list of texts, which is its one parameter."""

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives. Outside of `transaction` it only reads. Raises StoreError."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to a table, all at once; inside of `transaction`. Raises StoreError."""

    def transaction(self) -> AbstractContextManager[None]:
        """Inside, all is written or nothing; one writer at a time, wherever the others are. Raises StoreError."""

    def close(self) -> None:
        """Let go of it; what was written is in it."""
