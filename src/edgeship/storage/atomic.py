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
    make_folder(target.parent)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    except FileNotFoundError as error:
        raise _no_room_error(target) from error
    os.close(descriptor)
    beside = Path(name)
    try:
        yield beside
        beside.chmod(mode & ~UMASK)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in, where it is not there. Raises an OSError of `CANNOT_WRITE` where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # what is meant is that a file is in the way
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
    except FileNotFoundError as error:
        raise _no_room_error(folder) from error


def _no_room_error(path: Path) -> PermissionError:
    """What is meant where /proc says that a folder is not there: it takes nothing."""
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


@contextlib.contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when the block ends without an error."""
    make_folder(out.parent)
    try:
        holder = tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)
    except FileNotFoundError as error:
        raise _no_room_error(out) from error
    with holder as parent:
        draft = Path(parent) / out.name
        yield draft
        if out.is_symlink():  # what it points to stays as it is
            out.unlink()
        shutil.rmtree(out, ignore_errors=True)
        draft.rename(out)
