"""Programs that edgeship installs for its user (environments, packages, emulators) are the ones that were installed.

Each folder holds a record of its files. Before something in it starts, every file is looked at: one whose size, times and
inode are those of the record was not written since (no program can set a file's change time), any other one is read, and
its digest compared. A thousand files take milliseconds that way, and what was copied or restored is read once.

The record lies with the files: it tells damage and additions, not an attacker who may write there. That is why the folder
must be the user's own (`cache.check_own`).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from edgeship.cache import check_own
from edgeship.errors import InputError
from edgeship.untrusted import printable, read_json

RECORD = ".edgeship-files.json"


def record(folder: Path) -> None:
    """Write down what a folder holds; the last step of an installation."""
    _write(folder, {name: [_digest(path), *_marks(path)] for name, path in _tree(folder)})


@cache
def check(folder: Path, again: str) -> None:
    """Raise InputError where a folder is not the user's own, or holds other files than were installed; once per process.

    `again` is the command that installs it. A folder of an earlier version, without a record, gets one.
    """
    check_own(folder)
    if not os.path.lexists(folder / RECORD):
        record(folder)
        return
    known: Mapping[str, Any] = read_json(folder / RECORD)
    found, wrong = dict(_tree(folder)), []
    wrong += [f"{name}: missing" for name in known.keys() - found.keys()]
    wrong += [f"{name}: added" for name in found.keys() - known.keys()]
    touched = [name for name in known.keys() & found.keys() if known[name][1:] != _marks(found[name])]
    wrong += [f"{name}: changed" for name in touched if known[name][0] != _digest(found[name])]
    if wrong:
        told = printable("; ".join(sorted(wrong)[:3]))
        raise InputError(
            f"{printable(folder)}: not what was installed ({told}); remove this folder, then install it again: {again}"
        )
    if touched:
        _write(folder, {**known, **{name: [known[name][0], *_marks(found[name])] for name in touched}})


def _write(folder: Path, known: Mapping[str, Any]) -> None:
    draft = (
        folder.parent / f".{folder.name}.{secrets.token_hex(8)}.json"
    )  # beside it: another process may list the folder
    draft.write_text(json.dumps(known))
    draft.replace(folder / RECORD)


def _tree(folder: Path) -> Iterator[tuple[str, Path]]:
    """Everything below a folder but folders and the record, by relative path."""
    for parent, folders, names in os.walk(folder):
        place = Path(parent)
        for name in (*names, *(item for item in folders if (place / item).is_symlink())):
            path = place / name
            if path != folder / RECORD:
                yield path.relative_to(folder).as_posix(), path


def _marks(path: Path) -> list[int]:
    """What changes whenever a file is written or replaced."""
    found = path.lstat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _digest(path: Path) -> str:
    """Of a file's content and mode, or of where a link points to."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)}"
    if not stat.S_ISREG(mode):
        raise InputError(f"{printable(path)}: not a regular file")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
