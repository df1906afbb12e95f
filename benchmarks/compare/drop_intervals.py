"""The interval of a drop: which way of taking it fits a metric."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import statistics
from edgeship.benchmarks.compare.metrics import Form, Statistic, SumStatistic, TaskMetric
from edgeship.benchmarks.compare.metrics.own import ResampledStatistic
from edgeship.benchmarks.compare.unseen import Ends, LabelledOutputs, drop_ends
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
RESAMPLES = (1000, 500, 200)  # by a function of the user's own: as many as the time allows
SECONDS = 20.0  # for them
COLUMNS = 256  # of sums: more take seconds, as do rankings, and get fewer resamples
SHUFFLES = 5  # of the answers: a few might by chance give the same figure of few samples
FEW_CHANGES = 20  # samples: from more of them the spread is known to 16 %
ROLLS, LEAST_ROLLS, ROLLED_VALUES = 20, 4, 200_000_000  # of an artifact's errors to other samples; fewer of many values
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
    if task.is_plain_share and samples.truth[0].size == 1:
        gained = artifact.scored[:, 0] - server.scored[:, 0]
        interval = statistics.paired_difference(int((gained < 0).sum()), int((gained > 0).sum()), n)
        spread = _expect_spread(task, samples, float(gained.std()) / math.sqrt(n), disagreement, logits=logits)
        interval = interval if spread is None else replace(interval, spread=spread)
        return DropInterval(interval, "Tango 1998 score interval", disagreement)
    if task.form is Form.OWN and n > 1 and not _tells_answers_apart(task, samples, server):
        reason = "it is the same where the server model's answers are shuffled, so that it says nothing about a model"
        return DropInterval(None, "", disagreement, reason)
    if isinstance(server, ResampledStatistic):
        ends = drop_ends(task, samples, of_both, None, logits=logits)
        return _resample_drop(n, ends, disagreement)
    groups = statistics.groups_of(n)
    ends = drop_ends(task, samples, of_both, groups, logits=logits)
    cheap = isinstance(server, SumStatistic) and server.parts.shape[1] <= COLUMNS
    # Boxes of 1,000 pictures, 30 each, take 2 ms a resample.
    resamples = statistics.RESAMPLES if cheap else RESAMPLES[1 if task.form is Form.BOXES else 0]
    drops = statistics.bootstrap_interval(int(groups.max()) + 1, ends, resamples=resamples)
    if drops is not None:
        spread = _expect_spread(task, samples, drops.spread or 0.0, disagreement, logits=logits)
        drops = drops if spread is None else replace(drops, spread=spread)
    return DropInterval(drops, METHOD, disagreement, "" if drops else f"{n} samples give no interval")


def _expect_spread(
    task: TaskMetric, samples: LabelledOutputs, seen: float, disagreement: float, *, logits: bool
) -> float | None:
    """The standard error of the drop that is expected: `seen`, or the one of errors that fall on other samples than they did.

    Where few answers changed, that tells a copy from an artifact that was lucky. None of other metrics than of answers by
    scores: values are expected to differ as they did.
    """
    n, outputs = len(samples.truth), (samples.server, samples.artifact)
    if not (task.answers and task.share) or any(item.dtype.kind != "f" for item in outputs):
        return None
    errors, everything = samples.artifact - samples.server, np.ones((1, n))
    if disagreement * n > FEW_CHANGES or not errors.any():
        return seen
    rolls = min(ROLLS, max(LEAST_ROLLS, ROLLED_VALUES // errors.size))
    steps = np.unique(np.linspace(0, n, rolls + 2)[1:-1].astype(np.int64))
    moved = (samples.server + np.roll(errors, step, axis=0) for step in steps)
    figures = [float(task.statistic(samples.truth, item, logits=logits)(everything)[0]) for item in moved]
    return max(seen, float(np.nan_to_num(np.std(figures))))


def _tells_answers_apart(task: TaskMetric, samples: LabelledOutputs, server: Statistic) -> bool:
    """Whether a function of the user's own gives another figure where the server model's answers belong to other samples."""
    everything, rng = np.ones((1, len(samples.truth))), np.random.default_rng(statistics.SEED)
    figure = float(server(everything)[0])
    for _ in range(SHUFFLES):
        order = rng.permutation(len(samples.truth))
        try:
            shuffled = task.statistic(samples.truth, samples.server[order], logits=False)(everything)[0]
        except InputError:  # it has no figure for those, but one for the model
            return True
        if not math.isclose(figure, shuffled, rel_tol=1e-9, abs_tol=1e-12):
            return True
    return False


def _differ(one: Array, two: Array) -> Array:
    """Which samples (n,) of two arrays (n, ...) differ."""
    return np.asarray((one != two).reshape(len(one), -1).any(axis=1))


def _resample_drop(n: int, ends: Ends, disagreement: float) -> DropInterval:
    """The interval for a function that takes whole samples only, by as many resamples as the time allows."""

    def ends_of_whole_samples(weights: Array) -> tuple[Array, Array]:
        return ends(statistics.round_weights(weights, n))

    start = time.perf_counter()
    ends(np.ones((TRIALS, n + 1)))
    pace = (time.perf_counter() - start) / TRIALS
    number = next((number for number in RESAMPLES if number * pace <= SECONDS), 0)
    if not number:
        reason = (
            f"the metric takes {pace:.2g} s, too long for {RESAMPLES[-1]} resamples: let it give a number per sample"
        )
        return DropInterval(None, "", disagreement, reason)
    interval = statistics.bootstrap_interval(n, ends_of_whole_samples, resamples=number)
    if interval is None:
        return DropInterval(None, "", disagreement, "the metric is NaN or infinite on some resamples of the data")
    return DropInterval(interval, f"{METHOD}, {number} resamples", disagreement)
