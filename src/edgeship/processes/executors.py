"""Lanes: long steps side by side. A lane is a thread with a function process of its own that starts when first needed.

One lane loads the server model, so that this is done once; one converts what the first has exported, with a TensorFlow
of its own that is imported while the first exports; another quantizes meanwhile. A job may wait for a future of an
earlier lane, never of a later one, so lanes cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, Self, TypeVar

from edgeship.processes.child import FunctionProcess, training_env

T = TypeVar("T")


class Lane:
    """Runs jobs one after the other in a thread; `call` runs a function in the lane's process."""

    def __init__(self, name: str, env: Mapping[str, str] | None = None) -> None:
        self.name, self._env = name, env
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._process: FunctionProcess | None = None
        self._starting = Lock()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Queue a job."""
        return self._executor.submit(job)

    def call(self, function: str, **arguments: Any) -> Any:
        """`package.module:function(**arguments)` in the lane's process, which is started here if it is not running."""
        return self.warm().call(function, **arguments)

    def warm(self, *modules: str) -> FunctionProcess:
        """The lane's process; where it is not running it is started, and imports the modules ahead of its first call."""
        with self._starting:
            if self._process is None:
                self._process = FunctionProcess(self.name, self._env, modules)
            return self._process

    def close(self, *, failed: bool) -> None:
        """End the lane; after a failure nothing is waited for."""
        if failed and self._process:
            self._process.kill()
        self._executor.shutdown(cancel_futures=True)
        if self._process:
            self._process.close()


class Lanes:
    """The lanes of one run: `further` trains, `tensorflow` exports, `convert` is behind it, then `quantize`."""

    def __init__(self) -> None:
        # All but training does without oneDNN, so that answers are the same to the last digits.
        self.further = Lane("further", training_env())
        self.tensorflow = Lane("tensorflow")
        self.convert = Lane("convert")
        self.quantize = Lane("quantize")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        for lane in (self.further, self.tensorflow, self.convert, self.quantize):
            lane.close(failed=kind is not None)
