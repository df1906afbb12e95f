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
from edgeship.untrusted import damage_as_input_error, printable, read_json

RECORD = ".edgeship-files.json"


def record(folder: Path) -> None:
    """Write down what a folder holds; the last step of an installation."""
    _write_record(folder, {name: [_file_digest(folder / name), *marks] for name, marks in _scan_tree(folder)})


@cache
def check(folder: Path, install_command: str) -> None:
    """Raise InputError where a folder is not the user's own, or holds other files than were installed; once per process.

    `install_command` is the command that installs it. A folder of an earlier version, without a record, gets one.
    """
    check_own(folder)
    if not os.path.lexists(folder / RECORD):
        with contextlib.suppress(OSError):  # it may be the system's, and not be written to
            record(folder)
        return
    with damage_as_input_error(folder / RECORD):
        entries = {str(name): list(marks) for name, marks in read_json(folder / RECORD).items()}
    tree = dict(_scan_tree(folder))
    problems = [f"{name}: missing" for name in entries.keys() - tree.keys()]
    problems += [f"{name}: added" for name in tree.keys() - entries.keys()]
    suspects = [name for name in entries.keys() & tree.keys() if entries[name][1:] != tree[name]]
    problems += [f"{name}: changed" for name in suspects if entries[name][0] != _file_digest(folder / name)]
    if problems:
        marks = printable("; ".join(sorted(problems)[:3]))
        raise InputError(
            f"{printable(folder)}: not what was installed ({marks}); remove this folder, then install it again: {install_command}"
        )
    if suspects:
        with contextlib.suppress(OSError):  # it is read again next time
            _write_record(folder, {**entries, **{name: [entries[name][0], *tree[name]] for name in suspects}})


def _write_record(folder: Path, entries: Mapping[str, Any]) -> None:
    draft = (
        folder.parent / f".{folder.name}.{secrets.token_hex(8)}.json"
    )  # beside it: another process may list the folder
    draft.write_text(json.dumps(entries), encoding="utf-8")
    draft.replace(folder / RECORD)


def _scan_tree(folder: Path) -> Iterator[tuple[str, list[int]]]:
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
                    status = entry.stat(follow_symlinks=False)
                    yield name, [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _file_digest(path: Path) -> str:
    """Of a file's content, or where a link points to."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)}"
    if not stat.S_ISREG(mode):
        raise InputError(f"{printable(path)}: not a regular file")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
