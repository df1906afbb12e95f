"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(out: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside `out` to write a file to; it is moved to `out` on success and removed on failure."""
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name that nobody can know, and put a link there before.
    beside = target.with_name(f".{target.stem}.{secrets.token_hex(8)}{target.suffix}")
    try:
        yield beside
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when the block ends without an error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as parent:
        made = Path(parent) / out.name
        yield made
        shutil.rmtree(out, ignore_errors=True)
        made.rename(out)
