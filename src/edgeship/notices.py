"""What edgeship says while it works, on standard error.

The command line shows it. The Python API (`edgeship.api`) keeps it back unless its caller asks for it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar

_VISIBLE = ContextVar("visible", default=True)


def are_visible() -> bool:
    """Whether progress and notices are shown here."""
    return _VISIBLE.get()


@contextlib.contextmanager
def set_visibility(visible: bool) -> Iterator[None]:
    """Inside, progress and notices are shown or not; errors are raised either way."""
    token = _VISIBLE.set(visible)
    try:
        yield
    finally:
        _VISIBLE.reset(token)


def print_notice(text: str) -> None:
    """Write a line, unless nobody wants to see it."""
    if are_visible():
        print(text, file=sys.stderr, flush=True)
