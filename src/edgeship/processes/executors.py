"""Executors: long steps side by side. An executor is a thread with a function process of its own that starts when first needed.

One executor loads the server model, so that this is done once. It and the next hold a TensorFlow each, which the second imports
while the first reads the model: what is then to be converted goes to whichever is free. Another quantizes meanwhile, one trains.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Self, TypeVar

from edgeship.errors import ProcessError
from edgeship.processes.child import Caller, FunctionProcess, training_env

T = TypeVar("T")

# By their names in `PipelineExecutors`: what trains, loads the server model, converts, quantizes.
TRAIN, EXPORT, CONVERT, QUANTIZE = ("train",), ("export",), ("export", "convert"), ("quantize",)


class ProcessExecutor(Caller):
    """Runs jobs one after the other in a thread; `call` runs a function in the executor's process."""

    def __init__(self, name: str, env: Mapping[str, str] | None = None) -> None:
        self.name, self._env = name, env
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._process: FunctionProcess | None = None
        self._starting = Lock()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Queue a job; whether notices are shown is for it as for who queues it."""
        return self._executor.submit(copy_context().run, job)

    def call_named(self, function: str, arguments: Mapping[str, Any], timeout: float | None = None) -> Any:
        """`package.module:function(**arguments)` in the executor's process, which is started here if it is not running.

        One that dies is replaced for the next call: what crashed it may be a single variant.
        """
        process = self.warm()
        try:
            return process.call_named(function, arguments, timeout)
        except ProcessError as error:
            if error.died:
                process.close()
                with self._starting:
                    self._process = None
            raise

    def warm(self, *modules: str) -> FunctionProcess:
        """The executor's process; where it is not running it is started, and imports the modules ahead of its first call."""
        with self._starting:
            if self._process is None:
                self._process = FunctionProcess(self.name, self._env, modules)
            return self._process

    def close(self, *, after_failure: bool) -> None:
        """End the executor; after a failure nothing is waited for."""
        if after_failure and self._process:
            self._process.kill()
        self._executor.shutdown(cancel_futures=True)
        if self._process:
            self._process.close()


class PipelineExecutors:
    """The executors of one run: `train`, `export`, `convert` and `quantize`."""

    def __init__(self) -> None:
        # All but training does without oneDNN, so that answers are the same to the last digits.
        self.train = ProcessExecutor("further", training_env())
        self.export = ProcessExecutor("tensorflow")
        self.convert = ProcessExecutor("convert")
        self.quantize = ProcessExecutor("quantize")
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def scratch(self) -> Path:
        """A folder for what one step leaves for another, which goes with the run."""
        self._scratch = tempfile.TemporaryDirectory(prefix="edgeship-run-")
        return Path(self._scratch.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        for executor in (self.train, self.export, self.convert, self.quantize):
            executor.close(after_failure=kind is not None)
        if self._scratch:
            self._scratch.cleanup()
