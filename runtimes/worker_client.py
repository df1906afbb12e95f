"""The parent's side of a worker: a `Child` that also takes a stream of requests, overlapping transfer and compute."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from edgeship.processes import wire
from edgeship.processes.child import Child

Message = tuple[dict[str, Any], wire.Arrays]
Sent = queue.Queue[BaseException | bool]


PIPE_BYTES = 1 << 20


class Deadline:
    """Kills a process that has given no sign of life for `seconds`; one thread, however many answers there are."""

    def __init__(self, child: WorkerChild, seconds: float) -> None:
        self._child, self._seconds = child, seconds
        self._end = time.monotonic() + seconds
        self._stop = threading.Event()
        self.passed = False

    def extend(self) -> None:
        """The process has answered: it has as long again for the next answer."""
        self._end = time.monotonic() + self._seconds

    def _watch_time(self) -> None:
        while not self._stop.wait(max(self._end - time.monotonic(), 0)):
            if time.monotonic() >= self._end:
                self.passed = True
                self._child.kill()
                return

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch_time, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()


class WorkerChild(Child):
    """A worker process."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, name: str = "worker") -> None:
        super().__init__(command, env=env, name=name)
        if sys.platform == "linux":  # a batch crosses in one go, not 64 KB at a time with a change of process for each
            import fcntl

            with contextlib.suppress(OSError):
                fcntl.fcntl(self.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def stream(self, messages: Iterator[Message], timeout: float) -> list[wire.Arrays]:
        """The answers' arrays, in order; the next messages are made and sent while the worker computes.

        Raises what `request` raises, or what the iterator of messages raised; the worker stays usable unless it died.
        """
        outcomes: Sent = queue.Queue()
        stop = threading.Event()
        writer = threading.Thread(target=self._write_messages, args=(messages, outcomes, stop), daemon=True)
        results: list[wire.Arrays] = []
        failure: BaseException | None = None
        with self._lock, Deadline(self, timeout) as deadline:
            writer.start()
            while (token := outcomes.get()) is not False:
                if isinstance(token, BaseException):
                    failure = failure or token
                    continue
                answer, arrays = self._receive_answer(deadline, timeout)
                if "error" in answer:
                    failure = failure or self._answered_error(answer["error"])
                    stop.set()
                elif failure is None:
                    results.append(arrays)
        if failure:
            raise failure
        return results

    def _receive_answer(self, deadline: Deadline, timeout: float) -> tuple[dict[str, Any], wire.Arrays]:
        try:
            answer = wire.receive(self.stdout)
        except EOFError as error:
            raise self._death_error(
                f"took longer than {timeout:.0f} s and was stopped" if deadline.passed else ""
            ) from error
        except wire.MessageError as error:
            raise self._message_error(error) from error
        deadline.extend()
        return answer

    def _write_messages(self, messages: Iterator[Message], outcomes: Sent, stop: threading.Event) -> None:
        """Send each message and say so in `outcomes`: True for a message, an exception, False at the end."""
        try:
            for header, arrays in messages:
                outcomes.put(True)
                wire.send(self.stdin, header, arrays)
                if stop.is_set():
                    return
        except (BrokenPipeError, ConnectionResetError):
            pass  # the worker died: the reader meets the end of its stream and tells how
        except Exception as error:  # whatever the data source raises belongs to the caller, not to this thread
            outcomes.put(error)
        finally:
            outcomes.put(False)
