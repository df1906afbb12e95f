"""Functions that tests have a child process call."""

from __future__ import annotations

import atexit
from pathlib import Path


def write_at_exit(path: str) -> None:
    """Write a file when the process ends in good order."""
    atexit.register(Path(path).write_text, "done")
