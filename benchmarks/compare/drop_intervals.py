"""The interval of a drop: which way of taking it fits a metric."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import statistics
from edgeship.benchmarks.compare.metrics import Statistic, TaskMetric
from edgeship.benchmarks.compare.metrics.own import ResampledStatistic

Array = np.ndarray[Any, Any]
SHARES = (
    "top1",
    "top5",
    "binary_accuracy",
    "exact_match",
)  # of samples that are right or wrong, where each has one label
RESAMPLES = (1000, 500, 200)  # by a function of the user's own: as many as the time allows
SECONDS = 20.0  # for them


@dataclass(frozen=True)
class DropInterval:
    """The interval of a drop and by which method; None with a reason. `disagreement`: the share of samples that differ."""

    interval: statistics.Interval | None
    method: str
    disagreement: float
    reason: str = ""


def interval_of_drop(task: TaskMetric, truth: Array, server: Statistic, artifact: Statistic) -> DropInterval:
    """The paired 95 % interval of how much worse the artifact is, positive where it is."""
    n, disagreement = len(truth), float(_differ(server.scored, artifact.scored).mean())
    if task.name in SHARES and truth[0].size == 1:
        gained = artifact.scored[:, 0] - server.scored[:, 0]
        interval = statistics.paired_difference(int((gained < 0).sum()), int((gained > 0).sum()), n)
        return DropInterval(interval, "Tango 1998 score interval", disagreement)
    sign = 1.0 if task.higher_is_better else -1.0
    if isinstance(server, ResampledStatistic):
        return _resample_drop(n, lambda counts: sign * (server(counts) - artifact(counts)), disagreement)
    method = "Bayesian bootstrap, paired"
    if task.share and disagreement == 0:
        # No resample differs from another, which says nothing about how often samples may: Tango's interval does.
        return DropInterval(statistics.paired_difference(0, 0, n), method, disagreement)
    groups = statistics.groups_of(n)
    one, two = server.group(groups), artifact.group(groups)
    drops = statistics.bootstrap_interval(int(groups.max()) + 1, lambda weights: sign * (one(weights) - two(weights)))
    return DropInterval(drops, method, disagreement, "" if drops else f"{n} samples give no interval")


def _differ(one: Array, two: Array) -> Array:
    """Which samples (n,) of two arrays (n, ...) differ."""
    return np.asarray((one != two).reshape(len(one), -1).any(axis=1))


def _resample_drop(n: int, drop: Callable[[Array], Array], disagreement: float) -> DropInterval:
    """Percentiles over resamples (Efron 1979, Annals of Statistics 7:1-26), for a function that takes whole samples only."""
    if n < 2:
        return DropInterval(None, "", disagreement, f"{n} samples give no interval")
    rng = np.random.default_rng(statistics.SEED)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES[0])
    start = time.perf_counter()
    drops = [drop(counts[:10])]
    pace = (time.perf_counter() - start) / 10
    number = next((number for number in RESAMPLES if number * pace <= SECONDS), 0)
    if not number:
        reason = (
            f"the metric takes {pace:.2g} s, too long for {RESAMPLES[-1]} resamples: let it give a number per sample"
        )
        return DropInterval(None, "", disagreement, reason)
    values = np.concatenate([*drops, drop(counts[10:number])])
    known = values[np.isfinite(values)]
    if len(known) < 0.95 * number:
        reason = f"the metric is NaN or infinite on {number - len(known)} of {number} resamples of the data"
        return DropInterval(None, "", disagreement, reason)
    low, high = np.quantile(known, (0.025, 0.975))
    return DropInterval(
        statistics.Interval(float(low), float(high)), f"bootstrap of {number} resamples, paired", disagreement
    )
