"""The file of a server's API keys: of edgeship's own, and of one that is measured."""

from __future__ import annotations

import os
from pathlib import Path

from edgeship.errors import InputError
from edgeship.untrusted import printable

LONGEST, SHORTEST_KEY = 1 << 20, 16  # bytes of the file that are read, characters of a key


def read_api_keys(file: str | os.PathLike[str]) -> tuple[str, ...]:
    """The keys of a file, one a line. Raises InputError where there is none, or one is short or no printable ASCII."""
    place = printable(file)
    try:
        with Path(file).open("rb") as stream:
            text = stream.read(LONGEST).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--api-key-file {place}: cannot be read as lines of ASCII ({error})") from error
    keys = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    if not keys or any(len(key) < SHORTEST_KEY or not key.isprintable() or " " in key for key in keys):
        raise InputError(
            f"--api-key-file {place}: needs a key a line, of at least {SHORTEST_KEY} characters; openssl rand -hex 32 makes one"
        )
    return keys
