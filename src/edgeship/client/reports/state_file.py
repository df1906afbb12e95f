"""What a device keeps in one JSON file: replaced whole under a lock, so that processes may share it. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeship.client.outcome import ClientError
from edgeship.client.store import lock_file

Json = dict[str, Any]
LOCK_SECONDS, PAUSE_SECONDS = 5.0, 0.02


class StateFile:
    """`name` in a folder, which holds `what`, as `counts`. Raises ClientError where either is a link."""

    def __init__(self, folder: Path, name: str, what: str) -> None:
        self.folder, self.path, self._what = folder, folder / name, what
        for path in (folder, self.path):
            if path.is_symlink():
                raise ClientError(f"{path} is a link, and nothing is written through one; remove it")

    def make_folder(self) -> None:
        """Make the folder where there is none. Raises ClientError where it cannot be."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClientError(f"{self.folder}: {error.strerror}; {self._what} need a folder") from error

    def read(self, new: Json) -> Json:
        """The state; `new` where there is none, or a damaged one: of another schema, or with other keys."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            state = json.loads(self.path.read_bytes())
            if isinstance(state, dict) and state.get("schema") == new["schema"] and state.keys() == new.keys():
                return state
        return new

    @contextlib.contextmanager
    def change(self, new: Json) -> Iterator[Json]:
        """The state under the lock; it is written at the end. Raises ClientError where that cannot be."""
        with self.hold():
            state = self.read(new)
            yield state
            beside = self.path.with_suffix(".new")
            beside.unlink(missing_ok=True)
            write_private(beside, json.dumps(state, separators=(",", ":")).encode())
            beside.replace(self.path)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """The lock. Raises ClientError where another process has it for long, and for what the disk says inside."""
        end = time.monotonic() + LOCK_SECONDS
        try:
            with self.path.with_suffix(".lock").open("a+b") as lock:
                while not lock_file(lock.fileno()):
                    if time.monotonic() > end:
                        raise ClientError(
                            f"{self.folder}: another process holds the {self._what} for {LOCK_SECONDS:g} s"
                        )
                    time.sleep(PAUSE_SECONDS)
                yield
        except OSError as error:
            place = error.filename or self.folder
            raise ClientError(f"{place}: {error.strerror}; {self._what} need a folder") from error


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only this user reads. Raises OSError where one is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
