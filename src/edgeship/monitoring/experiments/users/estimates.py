"""The difference between two arms and its standard error, from moments over users: ratios by the delta method, CUPED.

Every function works on arrays of experiments as on a single one: the last axes are those of an experiment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.experiments.planning.metrics import Metric
from edgeship.monitoring.experiments.users.user_totals import UserTotals

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Moments:
    """What is known of the users of an arm: their number (...), means (..., 4) and covariances (..., 4, 4), float64.

    The four are numerator and denominator, now and of the period before; covariances are divided by users - 1.
    """

    users: Array
    means: Array
    covariances: Array


@dataclass(frozen=True)
class Difference:
    """Treatment less control: the metric in each arm, its difference and standard error; float64 of shape (...).

    `reduction`: the share of the variance that the period before explains, 0 where it was not used.
    """

    control: Array
    treatment: Array
    difference: Array
    error: Array
    reduction: Array


def take_moments(totals: UserTotals, metric: Metric, arm: str) -> Moments:
    """The moments of an arm's users; those of the period before are 0 where it is not known."""
    chosen = totals.users_of(arm)
    now = metric.pair(totals.sums)
    before = metric.pair(totals.before) if has_period_before(metric, totals.before) else (np.zeros(len(chosen)),) * 2
    rows = np.stack([values[chosen] for values in (*now, *before)])
    return moments_of(rows)


def moments_of(rows: Array) -> Moments:
    """The moments of users (..., 4, n) float64."""
    users = rows.shape[-1]
    means = rows.mean(axis=-1)
    centred = rows - means[..., None]
    covariances = centred @ np.swapaxes(centred, -1, -2) / max(users - 1, 1)
    return Moments(np.full(rows.shape[:-2], users, dtype=np.float64), means, covariances)


def describe_users(totals: UserTotals, metric: Metric) -> tuple[float, float]:
    """A metric over all users, and the standard deviation of a user's part of it."""
    tops, bottoms = metric.pair(totals.sums)
    moments = moments_of(np.stack([tops, bottoms, np.zeros(len(tops)), np.zeros(len(tops))]))
    ratios, weights = _linear_weights(moments.means)
    return float(ratios[0]), math.sqrt(float(_variance(weights[:4], moments.covariances)))


def has_period_before(metric: Metric, before: Mapping[str, Array]) -> bool:
    """Whether all counts of a metric are known of the period before, and tell users apart."""
    return all(name in before and np.ptp(before[name]) > 0 for name in metric.counts)


def compare_arms(control: Moments, treatment: Moments, *, use_before: bool = False) -> Difference:
    """The difference of a metric between two arms.

    A ratio of means has the variance of (numerator - ratio * denominator) / mean(denominator), the delta method (Deng, Knoblich
    and Lu 2018, KDD, arXiv 1803.06336). With `use_before` what the period before tells of users is taken off (CUPED: Deng, Xu,
    Kohavi and Walker 2013, WSDM), with one factor for both arms.
    """
    both = _pool(control, treatment)
    _, ahead = _linear_weights(both.means)
    now, before = ahead[..., :4], ahead[..., 4:]
    spread = _variance(before, both.covariances)
    joint = np.einsum("...i,...ij,...j->...", now, both.covariances, before)
    factor = np.divide(joint, spread, out=np.zeros_like(joint), where=(spread > 0) & use_before)
    base = _variance(now, both.covariances)
    reduction = np.divide(factor * joint, base, out=np.zeros_like(joint), where=base > 0)
    values, variances = [], []
    for arm in (control, treatment):
        ratios, weights = _linear_weights(arm.means)
        adjusted = weights[..., :4] - factor[..., None] * weights[..., 4:]
        variances.append(_variance(adjusted, arm.covariances))
        values.append(ratios[..., 0] - factor * (ratios[..., 1] - _linear_weights(both.means)[0][..., 1]))
    error = _standard_error(variances, (control.users, treatment.users))
    return Difference(values[0], values[1], values[1] - values[0], error, reduction)


def _standard_error(variances: Sequence[Array], users: Sequence[Array]) -> Array:
    """The error of a difference of means: with a variance of its own for each arm or with one for both, whichever is greater.

    With arms of one size they are the same. In a small arm beside a large one events may be missing by chance: then its own
    variance is 0, and equal models would differ in one of five experiments.
    """
    own = variances[0] / users[0] + variances[1] / users[1]
    freedom = [np.maximum(count - 1, 1) for count in users]
    pooled = (variances[0] * freedom[0] + variances[1] * freedom[1]) / (freedom[0] + freedom[1])
    return np.asarray(np.sqrt(np.maximum(own, pooled * (1 / users[0] + 1 / users[1]))))


def _pool(one: Moments, other: Moments) -> Moments:
    """The moments of the users of both arms together."""
    users = one.users + other.users
    share = (other.users / users)[..., None]
    means = one.means * (1 - share) + other.means * share
    gap = other.means - one.means
    between = gap[..., :, None] * gap[..., None, :] * (one.users * other.users / users)[..., None, None]
    within = sum(item.covariances * np.maximum(item.users - 1, 1)[..., None, None] for item in (one, other))
    return Moments(users, means, (within + between) / np.maximum(users - 1, 1)[..., None, None])


def _linear_weights(means: Array) -> tuple[Array, Array]:
    """The two ratios (..., 2), now and before, and the weights (..., 8) of the four sums that make a user's part of each."""
    tops, bottoms = means[..., ::2], means[..., 1::2]
    there = bottoms > 0
    ratios = np.divide(tops, bottoms, out=np.zeros_like(tops), where=there)
    inverse = np.divide(1.0, bottoms, out=np.zeros_like(bottoms), where=there)
    weights = np.zeros((*means.shape[:-1], 2, 4))
    for place in (0, 1):
        weights[..., place, 2 * place] = inverse[..., place]
        weights[..., place, 2 * place + 1] = -ratios[..., place] * inverse[..., place]
    return ratios, weights.reshape(*means.shape[:-1], 8)


def _variance(weights: Array, covariances: Array) -> Array:
    return np.asarray(np.maximum(np.einsum("...i,...ij,...j->...", weights, covariances, weights), 0.0))
