"""Where an inbox lies, as `--store` names it."""

from __future__ import annotations

from pathlib import Path

from edgeship.errors import InputError
from edgeship.untrusted import printable

FILE, SQLITE = "inbox.db", "sqlite:///"


def parse_store(text: str) -> Path:
    """The SQLite file of the inbox: `inbox.db` in the folder that is named, or the file of `sqlite:///FILE`.

    Raises InputError for an address that is neither.
    """
    shown = printable(text)[:200]
    if text.startswith(SQLITE):
        name = text.removeprefix(SQLITE)
        if not name or printable(name) != name or Path(name).is_dir():
            raise InputError(f"--store {shown}: no file can be there; write sqlite:///FILE, or name a folder")
        return Path(name)
    if "://" in text or not text:
        scheme = shown.partition("://")[0]  # what follows may hold a password
        raise InputError(f"--store {scheme}: no inbox can be there; name a folder, or sqlite:///FILE")
    if Path(text).is_file():
        raise InputError(f"--store {shown}: is a file; name the folder that it is in, or sqlite:///{shown}")
    return Path(text) / FILE
