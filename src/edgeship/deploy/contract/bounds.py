"""What a number, name or shape of a contract may be: the file may be a stranger's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from edgeship import untrusted

MOST_AXES = 16
LONGEST_NAME = 200  # characters of what is a part of a file's name
Index = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Shape = Annotated[tuple[Index | None, ...], Meta(max_length=MOST_AXES)]
Text = Annotated[str, Meta(max_length=untrusted.LONGEST)]


def check_file_names(*names: str) -> None:
    """Raise ValueError for what cannot be a part of a file's name."""
    for name in names:
        if not untrusted.is_plain_name(name) or "/" in name or len(name) > LONGEST_NAME:
            raise ValueError(f"{untrusted.printable(name)[:40]!r} is no plain name")


def check_printable(*names: str) -> None:
    """Raise ValueError for what is invisible, or steers a terminal."""
    for name in names:
        if untrusted.printable(name) != name:
            raise ValueError(f"{untrusted.printable(name)[:40]!r} is not printable")


def check_different(what: str, names: Iterable[str]) -> None:
    """Raise ValueError where two of them have the same name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two of the {what} are called {untrusted.printable(name)[:40]!r}")
        seen.add(name)
