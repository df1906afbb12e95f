"""Two artifacts timed against each other: run in turn, in several pairs of fresh processes (measuring.md 4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

from edgeship.benchmarks.measure import latency
from edgeship.benchmarks.measure.benchmark import Benchmark, FigureResult, Target
from edgeship.benchmarks.measure.latency import Ratio, block_ratio
from edgeship.benchmarks.measure.speed import busy_reason, timing_key
from edgeship.bundle.figures.measurement import LatencyRatio, MeasurementDetails
from edgeship.bundle.metric import Metric, missing_metrics
from edgeship.errors import EdgeshipError
from edgeship.runtimes.session import Session
from edgeship.typed_json import convert
from edgeship.types import Availability

# Student's t over 8 pairs is 1.2 times as wide as over endlessly many, over 5 it is 1.4 times; one of 8 is trimmed at each end.
PAIRS = 8
UNITS = {"latency_ratio": "x"}
# Short, so that what disturbs one artifact's block disturbs its neighbour too; at least one query each.
BLOCK_SECONDS = 0.01
# Per artifact and pair, beside one that warms up; models whose single query outlasts the time have no more.
MIN_BLOCKS = 2

Open = Callable[[], Session]
Blocks = list[list[float]]


def measure(bench: Benchmark, target: Target) -> FigureResult:
    """`latency_ratio`: the latency to that of the format's float32 artifact; nothing for that one itself, and away from here."""
    subject, base = target.subject, bench.latency_base(target)
    if target.launcher.compared_with_host or base is None or base.digest == subject.digest:
        return FigureResult()
    if reason := subject.latency_exclusion_reason or base.latency_exclusion_reason:
        return FigureResult(missing_metrics(UNITS, Availability.UNDEFINED, reason))
    of_subject, of_base = (replace(target, subject=item) for item in (subject, base))

    def compare() -> dict[str, Any]:
        if busy := busy_reason(bench, target):
            return {**asdict(latency.no_ratio(busy)), "busy": busy}
        seconds = latency.find_profile(bench.settings.profile).seconds / 2
        result = compare_latency(_session_opener(bench, of_subject), _session_opener(bench, of_base), seconds)
        return {**asdict(result), "busy": ""}

    what = f"{subject.artifact.id} on {target.place}: against {base.artifact.id}, in turn"
    key = {**timing_key(bench, target), "base": base.digest}
    try:
        entry = bench.cache_result(what, "ratio", key, lambda _: compare())
    except EdgeshipError as error:
        return FigureResult(missing_metrics(UNITS, Availability.FAILED, str(error)))
    result = convert(LatencyRatio, entry.result)
    if busy := bench.busy_now(entry, result.busy):
        result = replace(result, reason=busy, busy=busy)
    if result.value is None:
        availability = Availability.UNSTABLE if result.busy else Availability.FAILED
        metrics = missing_metrics(UNITS, availability, result.reason)
    else:
        metrics = [Metric("latency_ratio", result.value, "x", reason=result.reason)]
    return FigureResult(metrics, MeasurementDetails(latency_ratio=replace(result, against=base.artifact.id)))


def _session_opener(bench: Benchmark, target: Target) -> Open:
    return lambda: target.open(timed=True, threads=target.device.threads, sample=bench.sample)


def compare_latency(ours: Open, baseline: Open, seconds: float, pairs: int = PAIRS) -> Ratio:
    """How many times as long `ours` takes as `baseline`, at batch 1 on their sessions' samples, in about `seconds`.

    `ours` and `baseline` start a fresh process each time that they are called; what that takes is part of `seconds`.
    Raises what opening a session or running it raises.
    """
    end = time.monotonic() + seconds
    blocks = []
    for number in range(pairs):
        # Each pair has its share of what is left, so that a slow start shortens all that follow alike.
        share = (end - time.monotonic()) / (pairs - number)
        blocks.append(_time_pair(ours, baseline, time.monotonic() + share))
    return block_ratio(blocks)


def _time_pair(ours: Open, baseline: Open, end: float) -> tuple[Blocks, Blocks]:
    """Blocks of both until `end`, A, B, B, A, ...; both processes are started at once, since nothing is timed yet."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        opening = [pool.submit(ours), pool.submit(baseline)]
        for future in wait(opening).done:
            if not future.exception():
                stack.enter_context(future.result())  # also where the other one fails: it must not stay
        sessions = [future.result() for future in opening]
        for session in sessions:
            session.block(BLOCK_SECONDS)
        blocks: tuple[Blocks, Blocks] = ([], [])
        order = [0, 1]
        while time.monotonic() < end or len(blocks[0]) < MIN_BLOCKS:
            for which in order:
                blocks[which].append(list(sessions[which].block(BLOCK_SECONDS)))
            order.reverse()
    return blocks
