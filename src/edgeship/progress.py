"""What is going on, on standard error: a line for each finished step, and a spinner over those under way in a terminal."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Self

from rich.console import Console
from rich.text import Text

from edgeship import notices
from edgeship.terminal import PlainConsole
from edgeship.untrusted import printable_value


class Progress:
    """Steps may run side by side in threads. Use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or PlainConsole(stderr=True, quiet=not notices.are_visible())
        self._status = self.console.status("") if self.console.is_terminal and not self.console.quiet else None
        self._running: list[str] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._status:
            self._status.stop()

    def note(self, text: str, below: str = "") -> None:
        """Say something once, on one line; `below` are lines of edgeship's own."""
        line = Text.assemble("  ", ("note", "yellow"), f" {printable_value(text)}", f"\n\n{below}" if below else "")
        self.console.print(line, soft_wrap=True)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """A step; what is appended to the list it yields stands behind its time, such as 'cached'."""
        remarks: list[str] = []
        self._update_running(what, add=True)
        start = time.perf_counter()
        try:
            yield remarks
        except BaseException:
            self._update_running(what, add=False)
            raise
        self._update_running(what, add=False)
        behind = f" ({', '.join(remarks)})" if remarks else ""
        took = f"{time.perf_counter() - start:.1f} s{printable_value(behind)}"
        line = Text.assemble("  ", ("done", "green"), f" {printable_value(what)} ", (took, "dim"))
        self.console.print(line, soft_wrap=True)

    def _update_running(self, what: str, *, add: bool) -> None:
        with self._lock:
            (self._running.append if add else self._running.remove)(what)
            if self._status:
                self._status.update(Text(printable_value(", ".join(self._running))))
