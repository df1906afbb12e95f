"""Steady latency at batch 1: warm-up, a plain loop, and the choice between it and MLPerf's LoadGen."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from typing import Any

WARM_UP_QUERIES = 5
WARM_UP_SECONDS = 0.5


def time_queries(run: Callable[[], object], min_seconds: float, min_queries: int) -> array[float]:
    """Milliseconds of each query; stops when both limits are met."""
    samples = array("d")
    clock = time.perf_counter_ns
    end = clock() + int(min_seconds * 1e9)
    done = clock()
    while done < end or len(samples) < min_queries:
        start = clock()
        run()
        done = clock()
        samples.append((done - start) / 1e6)
    return samples


def warm_up(run: Callable[[], object], min_seconds: float) -> float:
    """Run for a while before a measurement of `min_seconds`; the fastest query in ms."""
    return min(time_queries(run, min(WARM_UP_SECONDS, min_seconds / 10), WARM_UP_QUERIES))


def measure_steady(
    run: Callable[[], object], min_seconds: float, min_queries: int, fastest_ms: float
) -> tuple[dict[str, Any], array[float]]:
    """The raw samples in ms and what LoadGen says of them; to be called after `warm_up`.

    `engine` is `loadgen`, or `loop` where LoadGen is not installed: the same two stopping rules, and the estimate is left to
    whoever gets the samples.
    """
    try:
        from edgeship.runtimes.worker import loadgen
    except ImportError:
        samples = time_queries(run, min_seconds, min_queries)
        reason = "LoadGen is not installed"
        return {"engine": "loop", "valid": True, "early_stopping_p90_ms": None, "reason": reason}, samples
    return loadgen.single_stream(run, min_seconds, min_queries, fastest_ms=fastest_ms)
