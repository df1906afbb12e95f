"""Where trials run: in this process, or in several on this machine."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Self

from edgeship.processes.child import FunctionProcess, training_env
from edgeship.train.own_data.search_results import Trial
from edgeship.train.own_data.tuning.trial import Tell, TrialData, run_trial
from edgeship.train.own_data.tuning.worker import Assignment, run_in_child
from edgeship.types import to_json

THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


class Workers(ABC):
    """Does trials, `count` of them at once. Use as a context manager."""

    count = 1

    @abstractmethod
    def submit(self, assignment: Assignment, trial_data: TrialData) -> Future[Trial]:
        """Begin a trial; `trial_data` is its split as this process has it."""

    @abstractmethod
    def close(self, *, after_failure: bool) -> None:
        """End; after a failure nothing is waited for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self.close(after_failure=kind is not None)


class ThisProcess(Workers):
    """One trial after the other, here: the same seed gives the same search."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def submit(self, assignment: Assignment, trial_data: TrialData) -> Future[Trial]:
        """See `Workers`; it is done when this returns."""
        future = Future[Trial]()
        future.set_result(run_trial(trial_data, assignment.task, self._tell))
        return future

    def close(self, *, after_failure: bool) -> None:
        """See `Workers`; there is nothing to end."""


class Processes(Workers):
    """Processes of this machine, which share its processors evenly."""

    def __init__(self, count: int) -> None:
        self.count = count
        threads = str(max(1, (os.cpu_count() or 1) // count))
        env = {**training_env(), **dict.fromkeys(THREADS, threads)}
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="trial")
        self._children = [FunctionProcess(f"trial-{number + 1}", env) for number in range(count)]
        self._free: SimpleQueue[FunctionProcess] = SimpleQueue()
        for child in self._children:
            self._free.put(child)

    def submit(self, assignment: Assignment, trial_data: TrialData) -> Future[Trial]:
        """See `Workers`."""
        return self._pool.submit(self._run, assignment)

    def _run(self, assignment: Assignment) -> Trial:
        child = self._free.get()
        try:
            return child.call(run_in_child, assignment=to_json(assignment))
        finally:
            self._free.put(child)

    def close(self, *, after_failure: bool) -> None:
        """See `Workers`."""
        for child in self._children:
            if after_failure:
                child.kill()
        self._pool.shutdown(cancel_futures=True)
        for child in self._children:
            child.close()
