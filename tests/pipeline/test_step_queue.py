"""The queue of steps, run on toy graphs: order, what runs side by side, what a failure costs, what the cache saves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from functools import partial
from graphlib import CycleError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeship.pipeline.step_queue import CachedStep, FunctionStep, State, StepQueue, StepRun
from edgeship.processes.executors import CONVERT, EXPORT, QUANTIZE, PipelineExecutors
from edgeship.progress import Progress
from edgeship.storage.cache import Cache, Entry

SECONDS = 30  # to wait for what must come


@pytest.fixture
def executors() -> Iterator[PipelineExecutors]:
    with PipelineExecutors() as executors:
        yield executors


@pytest.fixture
def queue(executors: PipelineExecutors, tmp_path: Path) -> Iterator[StepQueue]:
    with StepQueue(executors, Cache(tmp_path / "cache"), Progress()) as queue:
        yield queue


def step(
    name: str, function: Callable[[StepRun], Any], *needs: str, executors: tuple[str, ...] = QUANTIZE
) -> FunctionStep:
    return FunctionStep(name=name, executors=executors, needs=needs, function=function)


def values(queue: StepQueue, *steps: FunctionStep | CachedStep) -> dict[str, Any]:
    return {name: future.result(SECONDS) for name, future in queue.submit(steps).items()}


def test_a_step_gets_the_values_of_what_it_needs(queue: StepQueue) -> None:
    total = step("total", lambda run: sum(run.inputs.values()), "one", "two", executors=EXPORT)
    assert values(queue, total, step("one", lambda _: 1), step("two", lambda _: 2)) == {"total": 3, "one": 1, "two": 2}


def test_of_steps_that_can_begin_the_first_submitted_does(queue: StepQueue) -> None:
    order: list[str] = []
    held = threading.Event()
    steps = [step(name, partial(lambda noted, _: order.append(noted), name)) for name in "abc"]
    futures = queue.submit([step("held", lambda _: held.wait(SECONDS)), *steps])
    held.set()
    wait(futures.values(), SECONDS)
    assert order == ["a", "b", "c"]


def test_steps_run_side_by_side_on_whichever_executor_is_free(queue: StepQueue) -> None:
    both = threading.Barrier(2, timeout=SECONDS)  # passed only when two wait at it

    def meet(run: StepRun) -> str:
        both.wait()
        return run.executor.name

    found = values(queue, *(step(name, meet, executors=CONVERT) for name in ("a", "b")))
    assert sorted(found.values()) == ["convert", "tensorflow"]


def test_steps_of_one_executor_follow_one_another(queue: StepQueue) -> None:
    found = values(queue, *(step(name, lambda _: threading.get_ident()) for name in "abcdefgh"))
    assert len(set(found.values())) == 1


def test_a_failed_step_leaves_the_others_and_what_needs_it_is_not_run(queue: StepQueue) -> None:
    ran: list[str] = []

    def fail(_: StepRun) -> None:
        raise ValueError("broken")

    futures = queue.submit(
        [
            step("bad", fail),
            step("behind", lambda _: ran.append("behind"), "bad"),
            step("last", lambda _: ran.append("last"), "behind"),
            step("other", lambda _: ran.append("other")),
        ]
    )
    wait(futures.values(), SECONDS)
    assert ran == ["other"]
    states = {name: outcome.state for name, outcome in queue.outcomes.items()}
    assert states == {"bad": State.FAILED, "behind": State.BLOCKED, "last": State.BLOCKED, "other": State.DONE}
    for name in ("bad", "behind", "last"):
        assert str(queue.outcomes[name].error) == "broken"
        with pytest.raises(ValueError, match="broken"):
            futures[name].result(SECONDS)


def test_what_needs_a_step_that_has_failed_before_is_blocked_at_once(queue: StepQueue) -> None:
    def fail(_: StepRun) -> None:
        raise ValueError("broken")

    wait(queue.submit([step("bad", fail)]).values(), SECONDS)
    with pytest.raises(ValueError, match="broken"):
        queue.submit([step("late", lambda _: 1, "bad")])["late"].result(SECONDS)


def test_a_circle_is_refused_and_nothing_of_it_is_run(queue: StepQueue) -> None:
    ran: list[str] = []
    circle = [step("a", lambda _: ran.append("a"), "b"), step("b", lambda _: ran.append("b"), "a")]
    with pytest.raises(CycleError, match="cycle"):
        queue.submit([*circle, step("c", lambda _: ran.append("c"))])
    assert values(queue, step("d", lambda _: "still works")) == {"d": "still works"}
    assert not ran


def test_a_step_that_nobody_submitted_is_refused(queue: StepQueue) -> None:
    with pytest.raises(ValueError, match="no step is called missing"):
        queue.submit([step("a", lambda _: 1, "missing")])


def test_a_name_that_is_known_is_not_run_again(queue: StepQueue) -> None:
    counted: list[int] = []
    for _ in range(2):
        values(queue, step("once", lambda _: counted.append(1)))
    assert counted == [1]


def text_step(made: list[str], text: str, *, source: str = "") -> CachedStep:
    """Writes `text` behind what `source` wrote; notes in `made` that it did."""

    def make(run: StepRun, folder: Path) -> dict[str, Any]:
        made.append(text)
        before = (run.inputs[source].path / "text").read_text() if source else ""
        (folder / "text").write_text(before + text)
        return {"notes": []}

    return CachedStep(
        name=text if source else "first",
        executors=QUANTIZE,
        needs=(source,) if source else (),
        kind="toy",
        key=lambda inputs: {"text": text, "source": inputs[source].digest if source else None},
        make=make,
        label=text,
    )


def run_again(executors: PipelineExecutors, folder: Path, *steps: CachedStep) -> dict[str, Entry]:
    with StepQueue(executors, Cache(folder), Progress()) as queue:
        return values(queue, *steps)


def test_what_is_cached_is_not_made_again_but_what_depends_on_something_else_is(
    executors: PipelineExecutors, tmp_path: Path
) -> None:
    made: list[str] = []
    steps = [text_step(made, "one"), text_step(made, " and two", source="first")]
    found = run_again(executors, tmp_path, *steps)
    assert (found[" and two"].path / "text").read_text() == "one and two"
    assert made == ["one", " and two"]
    again = run_again(executors, tmp_path, *steps)
    assert made == ["one", " and two"]
    assert again[" and two"].digest == found[" and two"].digest
    other = run_again(executors, tmp_path, text_step(made, "three"), text_step(made, " and two", source="first"))
    assert (other[" and two"].path / "text").read_text() == "three and two"
    assert made == ["one", " and two", "three", " and two"]


def test_a_run_that_was_ended_goes_on_where_it_was(executors: PipelineExecutors, tmp_path: Path) -> None:
    made: list[str] = []

    def stop(_: StepRun, __: Path) -> Any:
        raise KeyboardInterrupt

    first = text_step(made, "one")
    stopped = CachedStep(name="two", executors=QUANTIZE, needs=("first",), kind="toy", key=lambda _: {}, make=stop)
    with pytest.raises(KeyboardInterrupt):
        run_again(executors, tmp_path, first, stopped)
    run_again(executors, tmp_path, first, text_step(made, "two", source="first"))
    assert made == ["one", "two"]


def test_a_cached_step_is_run_by_itself_and_its_value_is_what_it_makes_of_the_entry(tmp_path: Path) -> None:
    made = CachedStep(
        name="alone",
        executors=QUANTIZE,
        kind="toy",
        key=lambda inputs: {"input": inputs["number"]},
        make=lambda run, _: {"double": 2 * run.inputs["number"]},
        value=lambda inputs, entry: (inputs["number"], entry.result["double"]),
    )
    tools: Any = SimpleNamespace(cache=Cache(tmp_path), progress=None, executors=None)
    assert made.run(StepRun(tools, tools, {"number": 4})) == (4, 8)


def test_what_has_not_begun_when_the_queue_ends_is_cancelled(executors: PipelineExecutors, tmp_path: Path) -> None:
    begun, over = threading.Event(), threading.Event()

    def hold(_: StepRun) -> None:
        begun.set()
        over.wait(SECONDS)

    with StepQueue(executors, Cache(tmp_path), Progress()) as queue:
        futures = queue.submit([step("running", hold), step("waiting", lambda _: 1)])
        begun.wait(SECONDS)
    over.set()
    assert futures["waiting"].cancelled()
    assert futures["running"].result(SECONDS) is None
