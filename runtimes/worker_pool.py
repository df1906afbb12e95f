"""Workers that are kept for the next model: under an emulator, starting one costs more than many an evaluation."""

from __future__ import annotations

import threading
from typing import Self

from edgeship.runtimes.registry import Launch
from edgeship.runtimes.worker_client import WorkerChild

Key = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


class Pool:
    """Idle workers by how they are started; a context manager that ends them. Safe for threads."""

    def __init__(self) -> None:
        self._idle: dict[Key, list[WorkerChild]] = {}
        self._lock = threading.Lock()

    def take(self, launch: Launch, name: str) -> WorkerChild:
        """An idle worker, or a new one."""
        with self._lock:
            idle = self._idle.get(_launch_key(launch))
            if idle:
                return idle.pop()
        return WorkerChild(launch.command, env=launch.env, name=name)

    def give(self, launch: Launch, child: WorkerChild) -> None:
        """A worker that has answered everything it was asked."""
        with self._lock:
            self._idle.setdefault(_launch_key(launch), []).append(child)

    def close(self) -> None:
        """End all idle workers."""
        with self._lock:
            for idle in self._idle.values():
                for child in idle:
                    child.close()
            self._idle.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _launch_key(launch: Launch) -> Key:
    return launch.command, tuple(sorted(launch.env.items()))
