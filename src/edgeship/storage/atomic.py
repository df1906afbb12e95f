"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

UMASK = os.umask(0)  # it can only be read by setting it, which other threads would notice later on
os.umask(UMASK)


@contextlib.contextmanager
def atomic_file(out: str | os.PathLike[str], mode: int = 0o666) -> Iterator[Path]:
    """A path beside `out` to write a file to; it is moved to `out` on success, with `mode`, and removed on failure.

    An empty file of a name that nobody can foresee is there: in a folder that others write to, too, a link could be.
    """
    target = Path(out)
    _make_folder(target.parent)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(descriptor)
    beside = Path(name)
    try:
        yield beside
        beside.chmod(mode & ~UMASK)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # what is meant is that a file is in the way
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


@contextlib.contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when the block ends without an error."""
    _make_folder(out.parent)
    try:
        holder = tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)
    except FileNotFoundError as error:  # what /proc says, whose folders take nothing
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(out)) from error
    with holder as parent:
        draft = Path(parent) / out.name
        yield draft
        if out.is_symlink():  # what it points to stays as it is
            out.unlink()
        shutil.rmtree(out, ignore_errors=True)
        draft.rename(out)
