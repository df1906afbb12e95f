"""Programs that edgeship installs for its user (environments, packages, emulators) are the ones that were installed.

Each folder holds a record of its files. Before something in it starts, every file is looked at: one whose size, times and
inode are those of the record was not written since (no program can set a file's change time), any other one is read, and
its digest compared. A thousand files take milliseconds that way, and what was copied or restored is read once.

The record lies with the files: it tells damage and additions, not an attacker who may write there. That is why the folder
must be the user's own (`cache.check_own`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.storage.cache import check_own
from edgeship.untrusted import printable, read_json, reading

RECORD = ".edgeship-files.json"


def record(folder: Path) -> None:
    """Write down what a folder holds; the last step of an installation."""
    _write(folder, {name: [_digest(folder / name), *marks] for name, marks in _tree(folder)})


@cache
def check(folder: Path, again: str) -> None:
    """Raise InputError where a folder is not the user's own, or holds other files than were installed; once per process.

    `again` is the command that installs it. A folder of an earlier version, without a record, gets one.
    """
    check_own(folder)
    if not os.path.lexists(folder / RECORD):
        with contextlib.suppress(OSError):  # it may be the system's, and not be written to
            record(folder)
        return
    with reading(folder / RECORD):
        known = {str(name): list(told) for name, told in read_json(folder / RECORD).items()}
    found = dict(_tree(folder))
    wrong = [f"{name}: missing" for name in known.keys() - found.keys()]
    wrong += [f"{name}: added" for name in found.keys() - known.keys()]
    touched = [name for name in known.keys() & found.keys() if known[name][1:] != found[name]]
    wrong += [f"{name}: changed" for name in touched if known[name][0] != _digest(folder / name)]
    if wrong:
        told = printable("; ".join(sorted(wrong)[:3]))
        raise InputError(
            f"{printable(folder)}: not what was installed ({told}); remove this folder, then install it again: {again}"
        )
    if touched:
        with contextlib.suppress(OSError):  # it is read again next time
            _write(folder, {**known, **{name: [known[name][0], *found[name]] for name in touched}})


def _write(folder: Path, known: Mapping[str, Any]) -> None:
    draft = (
        folder.parent / f".{folder.name}.{secrets.token_hex(8)}.json"
    )  # beside it: another process may list the folder
    draft.write_text(json.dumps(known), encoding="utf-8")
    draft.replace(folder / RECORD)


def _tree(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Everything below a folder but folders and the record: relative path, and what changes when a file is written."""
    pending = [("", os.fspath(folder))]
    while pending:
        above, place = pending.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                name = above + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append((f"{name}/", entry.path))
                elif name != RECORD:
                    told = entry.stat(follow_symlinks=False)
                    yield name, [told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]


def _digest(path: Path) -> str:
    """Of a file's content, or where a link points to."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)}"
    if not stat.S_ISREG(mode):
        raise InputError(f"{printable(path)}: not a regular file")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
