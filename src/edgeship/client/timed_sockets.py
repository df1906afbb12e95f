"""Sockets whose every read has the time that is left of a deadline.

The time-outs of sockets count from one packet to the next: a byte every few seconds holds a client for days.
"""

from __future__ import annotations

import io
import time
from typing import Any


class Timer:
    """How long a read may take: `idle` seconds, and never longer than until the `deadline`, in seconds of time.monotonic."""

    def __init__(self, deadline: float, idle: float) -> None:
        self._deadline, self._idle = deadline, idle

    def remaining(self) -> float:
        """Seconds for the next read. Raises TimeoutError where the deadline is over."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the update is over")
        return min(left, self._idle)


class _TimedFile(io.RawIOBase):
    """What a socket's file is to http.client, each read with the time that is left."""

    def __init__(self, connection: Any, timer: Timer) -> None:
        self._connection, self._timer = connection, timer
        self._file = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._timer.remaining())
        count: int | None = self._file.readinto(buffer)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class TimedSocket:
    """A socket whose files are timed."""

    def __init__(self, connection: Any, timer: Timer) -> None:
        self._connection, self._timer = connection, timer

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """The file that http.client reads answers from."""
        return io.BufferedReader(_TimedFile(self._connection, self._timer))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
