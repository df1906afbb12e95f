"""Lanes: long steps side by side. A lane is a thread with a function process of its own that starts when first needed.

One lane does all TensorFlow work, so that it is imported and the model is loaded once; another quantizes meanwhile. A
job may wait for a future of an earlier lane, never of a later one, so lanes cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

from edgeship.process import FunctionProcess

T = TypeVar("T")


class Lane:
    """Runs jobs one after the other in a thread; `call` runs a function in the lane's process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._process: FunctionProcess | None = None

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Queue a job."""
        return self._executor.submit(job)

    def call(self, function: str, **arguments: Any) -> Any:
        """`package.module:function(**arguments)` in the lane's process, which is started here if it is not running."""
        if self._process is None:
            self._process = FunctionProcess(self.name)
        return self._process.call(function, **arguments)

    def close(self, *, failed: bool) -> None:
        """End the lane; after a failure nothing is waited for."""
        if failed and self._process:
            self._process.kill()
        self._executor.shutdown(cancel_futures=True)
        if self._process:
            self._process.close()


class Lanes:
    """The lanes of one run: `tensorflow` first, `quantize` behind it."""

    def __init__(self) -> None:
        self.tensorflow = Lane("tensorflow")
        self.quantize = Lane("quantize")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        for lane in (self.tensorflow, self.quantize):
            lane.close(failed=kind is not None)
