"""Where an inbox lies, as `--store` names it."""

from __future__ import annotations

from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage.adbc import hide_password
from edgeship.untrusted import printable

FILE, SQLITE, SERVERS = "inbox.db", "sqlite:///", ("postgresql://", "postgres://")
KINDS = "a folder, sqlite:///FILE, or postgresql://USER@HOST/DATABASE"


@dataclass(frozen=True)
class StorePlace:
    """Where an inbox lies: `text`, as people may see it, and the `file` of SQLite or the `uri` of a PostgreSQL server."""

    text: str
    file: Path | None = None
    uri: str = ""

    def __str__(self) -> str:
        return self.text


def parse_store(text: str) -> StorePlace:
    """The place of the inbox: `inbox.db` in the folder that is named, the file of `sqlite:///FILE`, or a PostgreSQL server.

    Raises InputError for an address that is none of them.
    """
    shown = printable(text)[:200]
    if text.startswith(SERVERS):
        return StorePlace(hide_password(text), uri=text)
    if text.startswith(SQLITE):
        name = text.removeprefix(SQLITE)
        if not name or printable(name) != name or Path(name).is_dir():
            raise InputError(f"--store {shown}: no file can be there; write sqlite:///FILE, or name a folder")
        return _file_place(Path(name))
    if "://" in text or not text:
        scheme = shown.partition("://")[0]  # what follows may hold a password
        raise InputError(f"--store {scheme}: no inbox can be there; name {KINDS}")
    if Path(text).is_file():
        raise InputError(f"--store {shown}: is a file; name the folder that it is in, or sqlite:///{shown}")
    return _file_place(Path(text) / FILE)


def _file_place(file: Path) -> StorePlace:
    return StorePlace(printable(file), file)
