"""How far a run is, on standard error: rows and rows per second."""

from __future__ import annotations

import time
from typing import Self

from edgeship import notices
from edgeship.terminal import PlainConsole

IN_TERMINAL, ELSEWHERE = 0.2, 10.0  # seconds between two signs of life


class RowsProgress:
    """One pass over the rows: a line that changes in a terminal, else one every few seconds. Use as a context manager."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what, self._total = what, total
        self._console = PlainConsole(stderr=True, quiet=not notices.are_visible())
        live = self._console.is_terminal and not self._console.quiet
        self._status = self._console.status(what) if live else None
        self._start = self._told = time.monotonic()

    def tell(self, rows: int) -> None:
        """So many rows are done."""
        now = time.monotonic()
        if now - self._told < (IN_TERMINAL if self._status else ELSEWHERE):
            return
        self._told = now
        of_total = f" of {self._total:,}" if self._total is not None else ""
        text = f"{self._what}: {rows:,}{of_total} rows, {rows / (now - self._start):,.0f} rows/s"
        if self._status:
            self._status.update(text)
        else:
            self._console.print(f"  {text}", soft_wrap=True)

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._status:
            self._status.stop()
