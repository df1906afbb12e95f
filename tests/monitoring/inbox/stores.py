"""What a store holds, asked past the inbox, and what is exported from it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

from click.testing import CliRunner

from edgeship.cli.monitoring.monitor import monitor
from edgeship.errors import InputError
from edgeship.monitoring.inbox.database import NoInboxError
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.monitoring.inbox.place import parse_store

WEEKS = ("2026-W45", "2026-W46")  # of those that are exported


def is_server(store: str) -> bool:
    return store.startswith("postgresql:")


def ask_store(store: str, *statements: str) -> list[tuple[Any, ...]]:
    """The rows that the last of some statements gives."""
    if is_server(store):
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(store, autocommit=True) as connection, connection.cursor() as cursor:
            for statement in ("set search_path = edgeship_inbox", *statements):
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    file = parse_store(store).file
    assert file
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        for statement in statements:
            rows = database.execute(statement).fetchall()
    return rows


def set_schema(store: str, schema: int) -> None:
    """Make it one of another version of edgeship."""
    ask_store(store, f"update inbox set schema = {schema}" if is_server(store) else f"pragma user_version = {schema}")


def is_there(store: str) -> bool:
    """Whether anything was made."""
    place = parse_store(store)
    if place.file:
        return place.file.parent.exists()
    try:
        Inbox(place).close()
    except NoInboxError:
        return False
    except InputError:
        return True
    return True


def export(*words: object) -> dict[str, Any]:
    """The JSON of `edgeship monitor export`."""
    done = CliRunner().invoke(monitor, ["export", *map(str, words), "--json", "-"], standalone_mode=False)
    if done.exception:
        raise done.exception
    result: dict[str, Any] = json.loads(done.stdout)
    return result
