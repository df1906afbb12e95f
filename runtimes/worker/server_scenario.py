"""MLPerf's Server scenario by LoadGen: questions at random times (Poisson), and the highest rate that keeps p99 within a limit.

A question that finds all clients waiting waits too, and that time counts: a server that is slower than the questions come is
seen to be so.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import mlperf_loadgen as lg

from edgeship.light_dataclass import dataclass
from edgeship.runtimes.worker import loadgen

QUERIES = 662  # the fewest that bound a 99th percentile with 99 % confidence (MLPerf's early stopping)
PERCENTILE = 0.99
# How many times the limit a trial lasts at least: a rate that is a twentieth too high makes questions wait as long by then.
LIMITS = 20
HALVINGS = 4  # of the interval between a rate that was kept and one that was not: to 1 / 2^4 of an octave
LEAST = 1 / 32  # of what one client would get: where p99 is not within the limit at that, no rate is told
MOST = 4096  # times of it: enough for any number of cores
Ask = Callable[[], object]


@dataclass(frozen=True)
class RateTrial:
    """Questions at a `rate` a second: whether LoadGen calls the run valid, and its 99th percentile in ms."""

    rate: float
    valid: bool
    p99_ms: float
    n: int


def find_highest_rate(clients: Sequence[Ask], limit_ms: float, seconds: float, one_ms: float) -> dict[str, Any]:
    """The highest rate a second whose p99 is surely within `limit_ms`, 0 where none is; and all trials, of `seconds` or longer.

    A queue that grows without end is not long yet in a run that is short beside the limit: a trial lasts 20 times as long.
    `one_ms`: how long an answer takes that nobody else waits for. Rates are doubled from a quarter of what one client would
    get until one fails, and the octave is then halved on a logarithmic scale.
    """
    alone, seconds = 1000.0 / one_ms, max(seconds, LIMITS * limit_ms / 1000)
    rate, trials = alone / 4, []
    low, high = 0.0, 0.0
    while alone * LEAST <= rate <= alone * MOST:
        trials.append(try_rate(clients, rate, limit_ms, seconds))
        if trials[-1].valid:
            low = rate
        else:
            high = rate
        if low and high:
            break
        rate = rate * 2 if low else rate / 2
    for _ in range(HALVINGS if low and high else 0):
        rate = (low * high) ** 0.5
        trials.append(try_rate(clients, rate, limit_ms, seconds))
        low, high = (rate, high) if trials[-1].valid else (low, rate)
    return {"rate": low, "limit_ms": limit_ms, "clients": len(clients), "trials": [asdict(trial) for trial in trials]}


def try_rate(clients: Sequence[Ask], rate: float, limit_ms: float, seconds: float) -> RateTrial:
    """One run of LoadGen's Server scenario."""
    settings = loadgen.new_settings(lg.TestScenario.Server, seconds, QUERIES)
    settings.server_target_qps = rate
    settings.server_target_latency_ns = max(1, int(limit_ms * 1e6))
    settings.server_target_latency_percentile = PERCENTILE
    with _Clients(clients) as pool:
        values = loadgen.run_test(settings, pool.take)
    if pool.failure:
        raise pool.failure
    p99 = values.get("result_99.00_percentile_latency_ns", 0) / 1e6
    return RateTrial(rate, values.get("result_validity") == "VALID", p99, int(values.get("result_query_count", 0)))


class _Clients:
    """Threads, one a client, that answer LoadGen's questions in the order in which they came."""

    def __init__(self, clients: Sequence[Ask]) -> None:
        self.failure: BaseException | None = None
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._answer, args=(ask,), daemon=True) for ask in clients]

    def take(self, queries: list[Any]) -> None:
        for query in queries:
            self._waiting.put(query.id)

    def _answer(self, ask: Ask) -> None:
        while (number := self._waiting.get()) is not None:
            try:
                if not self.failure:
                    ask()
            except Exception as error:  # LoadGen waits for every answer; the caller raises it
                self.failure = error
            lg.QuerySamplesComplete([lg.QuerySampleResponse(number, 0, 0)])

    def __enter__(self) -> _Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
