"""Configurations that the user trusts: an `edgeship.toml` beside a model may let code run only if it is one of them.

A file is trusted under its path and the digest of its content, in a file of the user's own: `$EDGESHIP_TRUST`, or in the
user's data folder. A changed file is another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

import filelock
import platformdirs

from edgeship.errors import InputError
from edgeship.settings.permissions import Grant
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import parse_json, printable

PLACE = "EDGESHIP_TRUST"


def list_path() -> Path:
    """The file in which trusted ones are listed."""
    return Path(os.environ.get(PLACE) or Path(platformdirs.user_data_dir("edgeship")) / "trust" / "trusted.json")


def read_list() -> dict[str, str]:
    """The trusted files: sha256 by absolute path. Raises InputError where the list is not the user's own."""
    path = list_path()
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path}: the list of trusted files cannot be read ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        others = hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022)
        if others or not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: the list of trusted files is not yours alone to write; remove it")
        table = parse_json(file.read(), path)
    files = table.get("files") if isinstance(table, dict) else None
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise InputError(f"{path}: not a list of trusted files; remove it")
    return files


def is_trusted(path: Path, content: bytes) -> bool:
    """Whether the file was trusted with this very content."""
    return read_list().get(_absolute_path(path)) == _sha256_hex(content)


def trust_file(path: Path, content: bytes) -> None:
    """Trust a file with this content. Raises InputError where the list cannot be written."""
    _change_list(path, _sha256_hex(content))


def distrust_file(path: Path) -> None:
    """Trust a file no longer, whether it is there or not."""
    _change_list(path, None)


def require_trust(path: Path, content: bytes, grants: Iterable[Grant]) -> None:
    """Raises InputError, saying what the file grants and how it is trusted, unless it is or grants nothing."""
    granted = list(grants)
    if not granted or is_trusted(path, content):
        return
    why = (
        "was changed since you trusted it, and" if _absolute_path(path) in read_list() else "lies beside the model and"
    )
    what = "names files outside its folder" if all(grant.effect for grant in granted) else "lets code run"
    raise InputError(
        f"{printable(path)}: {why} {what}: {'; '.join(map(str, granted))}\n"
        f"if you trust it: edgeship trust {shlex.quote(printable(path))}, once; or --trust, for this run"
    )


def _absolute_path(path: Path) -> str:
    """The file's own place: a link to a trusted file is no trusted file, as its paths and modules are others."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _sha256_hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _change_list(path: Path, digest: str | None) -> None:
    place = list_path()
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with filelock.FileLock(place.with_name(place.name + ".lock")):
            files = {name: value for name, value in read_list().items() if name != _absolute_path(path)}
            files |= {_absolute_path(path): digest} if digest else {}
            with atomic_file(place, mode=0o600) as draft:
                draft.write_text(json.dumps({"schema": 1, "files": files}, indent=1), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{place}: the list of trusted files cannot be written ({error.strerror})") from error
