"""The interval of a drop: which way of taking it fits a metric."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import statistics
from edgeship.benchmarks.compare.metrics import Form, Statistic, SumStatistic, TaskMetric
from edgeship.benchmarks.compare.metrics.own import ResampledStatistic
from edgeship.benchmarks.compare.unseen import LabelledOutputs, add_unseen

Array = np.ndarray[Any, Any]
SHARES = (
    "top1",
    "top5",
    "binary_accuracy",
    "exact_match",
)  # of samples that are right or wrong, where each has one label
RESAMPLES = (1000, 500, 200)  # by a function of the user's own: as many as the time allows
SECONDS = 20.0  # for them
COLUMNS = 256  # of sums: more take seconds, as do rankings, and get fewer resamples
TRIALS = 5  # to learn how long the function takes
METHOD = "bootstrap with an unseen sample, paired"


@dataclass(frozen=True)
class DropInterval:
    """The interval of a drop and by which method; None with a reason. `disagreement`: the share of samples that differ."""

    interval: statistics.Interval | None
    method: str
    disagreement: float
    reason: str = ""


def interval_of_drop(
    task: TaskMetric, samples: LabelledOutputs, of_both: tuple[Statistic, Statistic], *, logits: bool
) -> DropInterval:
    """The paired 95 % interval of how much worse the artifact is, positive where it is; `of_both` models' statistics."""
    server, artifact = of_both
    n, disagreement = len(samples.truth), float(_differ(server.scored, artifact.scored).mean())
    if task.name in SHARES and samples.truth[0].size == 1:
        gained = artifact.scored[:, 0] - server.scored[:, 0]
        interval = statistics.paired_difference(int((gained < 0).sum()), int((gained > 0).sum()), n)
        return DropInterval(interval, "Tango 1998 score interval", disagreement)
    sign = 1.0 if task.higher_is_better else -1.0
    one, two = add_unseen(task, samples, of_both, logits=logits)
    if isinstance(server, ResampledStatistic):
        return _resample_drop(n, lambda counts: sign * (one(counts) - two(counts)), disagreement)
    groups = statistics.groups_of(n)
    number = int(groups.max()) + 1
    groups = np.append(groups, [number, number + 1])
    one, two = one.group(groups), two.group(groups)
    cheap = isinstance(one, SumStatistic) and one.parts.shape[1] <= COLUMNS
    # Boxes of 1,000 pictures, 30 each, take 2 ms a resample.
    resamples = statistics.RESAMPLES if cheap else RESAMPLES[1 if task.form is Form.BOXES else 0]
    drops = statistics.bootstrap_interval(
        number, lambda weights: sign * (one(weights) - two(weights)), resamples=resamples
    )
    return DropInterval(drops, METHOD, disagreement, "" if drops else f"{n} samples give no interval")


def _differ(one: Array, two: Array) -> Array:
    """Which samples (n,) of two arrays (n, ...) differ."""
    return np.asarray((one != two).reshape(len(one), -1).any(axis=1))


def _resample_drop(n: int, drop: Callable[[Array], Array], disagreement: float) -> DropInterval:
    """The interval for a function that takes whole samples only, by as many resamples as the time allows."""

    def drop_of_whole_samples(weights: Array) -> Array:
        return drop(statistics.round_weights(weights, n))

    start = time.perf_counter()
    drop(np.ones((TRIALS, n + 2)))
    pace = (time.perf_counter() - start) / TRIALS
    number = next((number for number in RESAMPLES if 2 * number * pace <= SECONDS), 0)  # each end has its own
    if not number:
        reason = (
            f"the metric takes {pace:.2g} s, too long for {RESAMPLES[-1]} resamples: let it give a number per sample"
        )
        return DropInterval(None, "", disagreement, reason)
    interval = statistics.bootstrap_interval(n, drop_of_whole_samples, resamples=number)
    if interval is None:
        return DropInterval(None, "", disagreement, "the metric is NaN or infinite on some resamples of the data")
    return DropInterval(interval, f"{METHOD}, {number} resamples", disagreement)
