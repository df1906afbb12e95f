"""The steps of a run as data, and the queue that runs them side by side.

A step names what it needs, and the executors that can run it. It begins as soon as all that is done and one of these
executors is free; of several steps that could begin, the one that was submitted first does. No step waits for another while
it holds an executor.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from enum import StrEnum
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Protocol, Self

from edgeship.light_dataclass import dataclass
from edgeship.processes.executors import PipelineExecutors, ProcessExecutor
from edgeship.progress import Progress
from edgeship.storage.cache import Cache, Entry

Inputs = Mapping[str, Any]  # the values of the steps that a step needs, by their names


class StepTools(Protocol):
    """What a step needs: executors, the cache, and where to say what is going on."""

    @property
    def executors(self) -> PipelineExecutors: ...  # noqa: D102
    @property
    def progress(self) -> Progress: ...  # noqa: D102
    @property
    def cache(self) -> Cache: ...  # noqa: D102


@dataclass(frozen=True)
class StepRun:
    """What a step works with: the tools of the run, the executor in whose thread it runs, and what it needs."""

    tools: StepTools
    executor: ProcessExecutor
    inputs: Inputs

    @property
    def executors(self) -> PipelineExecutors:
        """All executors of the run."""
        return self.tools.executors

    @property
    def progress(self) -> Progress:
        """Where to say what is going on."""
        return self.tools.progress

    @property
    def cache(self) -> Cache:
        """Where results are kept."""
        return self.tools.cache


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """One step: `name` is what others need it by, `executors` are those (of `PipelineExecutors`) that can run it."""

    name: str
    executors: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @abstractmethod
    def run(self, context: StepRun) -> Any:
        """The step's value."""


@dataclass(frozen=True, kw_only=True)
class FunctionStep(Step):
    """A step that is done each time."""

    function: Callable[[StepRun], Any]

    def run(self, context: StepRun) -> Any:
        """What the function returns."""
        return self.function(context)


def _entry_itself(_: Inputs, entry: Entry) -> Entry:
    return entry


@dataclass(frozen=True, kw_only=True)
class CachedStep(Step):
    """A step whose result is kept in the cache as `kind` under `key`, a function of what it needs alone.

    `make` writes files into a folder and returns JSON where there is no such result yet; `value` is what others get of the entry.
    `label` is what the step is called where it is shown; without one it is not.
    """

    kind: str
    key: Callable[[Inputs], Mapping[str, Any]]
    make: Callable[[StepRun, Path], Any]
    value: Callable[[Inputs, Entry], Any] = _entry_itself
    label: str = ""

    def run(self, context: StepRun) -> Any:
        """The value of the entry, which is made where it is not there."""
        key = self.key(context.inputs)
        entry = run_cached(context, self.label, self.kind, key, lambda folder: self.make(context, folder))
        return self.value(context.inputs, entry)


def run_cached(tools: StepTools, label: str, kind: str, key: Mapping[str, Any], make: Callable[[Path], Any]) -> Entry:
    """A result from the cache, or made now; shown as it goes where it has a label."""
    if not label:
        return tools.cache.get(kind, key, make)
    with tools.progress.step(label) as remarks:
        entry = tools.cache.get(kind, key, make)
        remarks.extend(["cached"] if entry.hit else [])
        for note in () if entry.hit else entry.result.get("notes", ()):
            tools.progress.note(note)
    return entry


class State(StrEnum):
    """Where a step stands that is over; BLOCKED: something that it needs failed, so it was not run."""

    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Outcome:
    """What became of a step: its value, or the error that it, or the step that blocked it, ended with."""

    state: State
    value: Any = None
    error: BaseException | None = None


class StepQueue:
    """Runs steps; use as a context manager. At its end what has not begun is dropped, and its futures are cancelled.

    A step that fails only keeps those from running that need it: whoever wants all to end leaves the context.
    """

    def __init__(self, executors: PipelineExecutors, cache: Cache, progress: Progress) -> None:
        self.executors, self.cache, self.progress = executors, cache, progress
        self._waiting: dict[str, Step] = {}
        self._needs: dict[str, tuple[str, ...]] = {}
        self._futures: dict[str, Future[Any]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            futures = [self._futures[name] for name in self._waiting]
            self._waiting.clear()
        for future in futures:
            future.cancel()

    def submit(self, steps: Iterable[Step]) -> Mapping[str, Future[Any]]:
        """Queue steps; returns the future value of each by its name. A name that is known is that step, and not run again.

        Raises ValueError where they need each other in a circle (`graphlib.CycleError`) or something that is unknown.
        """
        by_name = {step.name: step for step in steps}
        with self._lock:
            needs = {**self._needs, **{name: step.needs for name, step in by_name.items() if name not in self._needs}}
            TopologicalSorter(needs).prepare()
            if unknown := {need for step in by_name.values() for need in step.needs} - set(needs):
                raise ValueError(f"no step is called {', '.join(sorted(unknown))}")
            new = {name: step for name, step in by_name.items() if name not in self._needs}
            self._needs = needs
            self._waiting |= new
            self._futures |= {name: Future() for name in new}
            futures = {name: self._futures[name] for name in by_name}
        self._begin_ready_steps()
        return futures

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What became of the steps that are over, by name."""
        with self._lock:
            return dict(self._outcomes)

    def _begin_ready_steps(self) -> None:
        """Begin what can begin, and give up what never can."""
        with self._lock:
            blocked = self._give_up_blocked()
            starting = [(step, name) for step in list(self._waiting.values()) if (name := self._claim_executor(step))]
        for name, outcome in blocked.items():
            self._settle_future(name, outcome)
        for step, name in starting:
            executor: ProcessExecutor = getattr(self.executors, name)
            executor.submit(partial(self._run_step, step, name, executor))

    def _give_up_blocked(self) -> dict[str, Outcome]:
        blocked: dict[str, Outcome] = {}
        while True:
            failures = {name for name, outcome in self._outcomes.items() if outcome.error is not None}
            stopped_by = {
                name: next(iter(bad)) for name, step in self._waiting.items() if (bad := failures & {*step.needs})
            }
            if not stopped_by:
                return blocked
            for name, need in stopped_by.items():
                del self._waiting[name]
                blocked[name] = self._outcomes[name] = Outcome(State.BLOCKED, error=self._outcomes[need].error)

    def _claim_executor(self, step: Step) -> str | None:
        """The executor that is taken for a step that can begin; None where it cannot."""
        if not all(need in self._outcomes for need in step.needs):
            return None
        name = next((name for name in step.executors if name not in self._busy), None)
        if name:
            self._busy.add(name)
            del self._waiting[step.name]
        return name

    def _run_step(self, step: Step, name: str, executor: ProcessExecutor) -> None:
        """Run a step in its executor's thread."""
        try:
            inputs = {need: self._outcomes[need].value for need in step.needs}
            outcome = Outcome(State.DONE, step.run(StepRun(self, executor, inputs)))
        except BaseException as error:  # whatever it is, whoever waits for the step is to get it
            outcome = Outcome(State.FAILED, error=error)
        with self._lock:
            self._outcomes[step.name] = outcome
            self._busy.remove(name)
        self._begin_ready_steps()
        self._settle_future(step.name, outcome)

    def _settle_future(self, name: str, outcome: Outcome) -> None:
        future = self._futures[name]
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
