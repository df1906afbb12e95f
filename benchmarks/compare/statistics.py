"""Intervals and tests for paired comparisons. Each function names the publication that its formula comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.types import Verdict

Array = np.ndarray[Any, Any]
Z95 = 1.959963984540054  # the normal distribution's 97.5 % point
Z_POWER = 0.8416212335729143  # its 80 % point
# A FAIL is said where the drop is beyond the margin at this point, of 99.87 %: of the forty such checks that a bundle holds, all
# together are then wrong in 5 % at most (Bonferroni). Nothing passes by it, as what is not decided does not pass either.
MOST_REST = 0.95  # of the figure: nothing is known of what takes all of it
Z_FAIL = 3.0
TAIL_FAIL = 0.0013498980316300933  # the share of the normal distribution beyond it
POWER = 0.8  # with which the number of samples that is advised decides
# The fewest samples that can decide anything: of n that are all worse (or all better) 2 / 2^n is the chance of that where
# neither way is likelier, and 5 % allow it from n = 6 on. A PASS needs more, which follows from the margin: where no sample
# differs, the high end of the interval of a share is about 3.7 / n (0.025 = (1 - end)^n).
LEAST_SAMPLES = 6
SEED = 20240229
GROUPS = 2000
RESAMPLES = 2000
BATCH = 100


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval; `spread`: the standard error that is expected of the figure itself, None if it is not known.

    `at_least`: the low end of 99.87 %, which a FAIL takes (`Z_FAIL`).
    """

    low: float
    high: float
    spread: float | None = None
    at_least: float = -math.inf


def exact_interval(successes: float, n: int) -> Interval:
    """The binomial interval of one proportion (Clopper and Pearson 1934, Biometrika 26:404), which never holds too seldom.

    `successes` may be a fraction, as a sum of shares of n independent samples is. Raises ValueError where n < 1.
    """
    if n < 1:
        raise ValueError("no interval without samples")
    from scipy.special import betaincinv

    failures = max(n - successes, 0.0)
    low, at_least = betaincinv(successes, failures + 1, (0.025, TAIL_FAIL)) if successes > 0 else (0.0, 0.0)
    high = float(betaincinv(successes + 1, failures, 0.975)) if failures > 0 else 1.0
    share = min(successes / n, 1.0)  # which rounding must not leave outside
    return Interval(min(float(low), share), max(high, share), binomial_error(successes, n), float(at_least))


def binomial_error(successes: float, n: int) -> float:
    """The standard error of a share, as if one sample more of each kind had been seen: none seen is no certainty."""
    share = (successes + 1) / (n + 2)
    return math.sqrt(share * (1 - share) / n)


def paired_difference(gains: float, losses: float, n: int, z: float = Z95) -> Interval:
    """The score interval of a paired difference of proportions, (gained - lost) / n, in [-1, 1].

    `gains` of `n` samples are right only with the second model, `losses` only with the first; sums of shares of samples may
    be fractions. Tango 1998, Statistics in
    Medicine 17:891-908: the differences that the score test does not reject, found by bisection. Unlike Wald's interval
    it keeps a width when the models never disagree. Raises ValueError on impossible counts.
    """
    if n < 1 or gains < 0 or losses < 0 or gains + losses > n + 1e-6:
        raise ValueError(f"{gains:g} + {losses:g} disagreements of {n} samples are impossible")
    estimate = (gains - losses) / n
    high = _find_boundary(lambda delta: -_tango_score(gains, losses, n, delta) - z, estimate, 1.0)
    low = _find_boundary(lambda delta: _tango_score(gains, losses, n, delta) - z, estimate, -1.0)
    at_least = _find_boundary(lambda delta: _tango_score(gains, losses, n, delta) - Z_FAIL, estimate, -1.0)
    # One disagreement more than was seen, so that none at all is no certainty.
    disagreement = (gains + losses + 1) / (n + 1)
    return Interval(low, high, math.sqrt(max(disagreement - estimate**2, 0.0) / n), at_least)


def _tango_score(gains: float, losses: float, n: int, delta: float) -> float:
    """Tango's score statistic at the difference `delta`; infinite where the variance vanishes."""
    linear = -gains - losses + (2 * n - gains + losses) * delta
    constant = -losses * delta * (1 - delta)
    root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
    # Of the two equal forms of the root, the one that does not subtract nearly equal numbers.
    share = (root - linear) / (4 * n) if linear <= 0 else -2 * constant / (root + linear)
    variance = n * (2 * share + delta * (1 - delta))
    distance = gains - losses - n * delta
    if variance <= 0 or abs(delta) >= 1:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _find_boundary(excess: Callable[[float], float], inside: float, outside: float) -> float:
    """Where `excess` turns positive between a point that the test keeps and one beyond it."""
    if excess(outside) <= 0:
        return outside
    for _ in range(100):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if excess(middle) <= 0 else (inside, middle)
    return inside


def mcnemar_p_value(gains: int, losses: int) -> float:
    """The two-sided p-value that the disagreements go both ways alike (McNemar 1947; exact binomial form)."""
    if gains == losses:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(gains, losses), gains + losses, 0.5)))


def holm_p_values(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for testing them all, in the given order (Holm 1979, Scandinavian J. of Statistics 6:65-70)."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda item: p_values[item])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def groups_of(n: int) -> Array:
    """The group of each of n samples, at most `GROUPS` of nearly equal size, drawn at random with a fixed seed.

    Resampling groups of independent samples estimates the same variance as resampling the samples, in bounded time.
    """
    return np.random.default_rng(SEED).permutation(n) % min(n, GROUPS)


def bootstrap_interval(
    groups: int, ends: Callable[[Array], tuple[Array, Array]], *, resamples: int = RESAMPLES
) -> Interval | None:
    """The 95 % interval of a drop, of any metric, from random weights of `groups` of independent samples.

    `ends` maps weights (b, groups + 1) float64, none negative and *not whole numbers*, to two drops (b,) with each sample of a
    group counted so many times. The last column is that of a sample that was not seen (`unseen.py`): in the first drop it
    speaks in the artifact's favour, which the low end takes, in the second against it, for the high end. Else samples that all
    agree would leave no doubt, however few they are.

    For right and wrong answers the ends are the exact binomial ones (Clopper and Pearson 1934), for means of bounded values
    Gaffke's (2005; Learned-Miller and Thomas 2019, arXiv 1905.06208); without that sample this is the Bayesian bootstrap
    (Rubin 1981, Annals of Statistics 9:130-134). The weights are the same for all artifacts and the ends are percentiles: so
    an artifact that is better in every sample never gets a worse end. None where a drop is not finite.

    The spread is that of what was seen, without the sample that was not.
    """
    drawn = _draw_weights(groups + 1, resamples)
    parts = [np.stack(ends(drawn[start : start + BATCH])) for start in range(0, resamples, BATCH)]
    drops = np.concatenate(parts, axis=1)
    if not np.isfinite(drops).all():
        return None
    at_least, low = np.quantile(drops[0], (TAIL_FAIL, 0.025))
    high = np.quantile(drops[1], 0.975)
    return Interval(float(low), float(high), float(drops.mean(axis=0).std()), float(at_least))


@lru_cache(maxsize=1)
def _draw_weights(columns: int, resamples: int) -> Array:
    """The weights (resamples, columns) of every interval over so many groups: artifacts of one run have the same number."""
    weights = np.random.default_rng(SEED).standard_exponential((resamples, columns))
    weights.flags.writeable = False
    return weights


def round_weights(weights: Array, n: int) -> Array:
    """Weights (b, columns) as whole numbers that add up to `n` in each row, and are off by less than one."""
    total = np.cumsum(weights, axis=1)
    steps = np.floor(total * (n / total[:, -1:]) + 0.5)
    return np.diff(steps, axis=1, prepend=0.0)


def non_inferior(low: float, high: float, margin: float) -> Verdict:
    """The non-inferiority test: is the interval of a drop (positive is worse) below the margin, or above it."""
    if not all(map(math.isfinite, (low, high, margin))) or low > high:
        return Verdict.FAIL
    if high < margin:
        return Verdict.PASS
    return Verdict.FAIL if low > margin else Verdict.INCONCLUSIVE


def judge_drop(low: float, high: float, margin: float, n: int, at_least: float | None = None) -> Verdict:
    """The non-inferiority test on `n` independent samples; of fewer than `LEAST_SAMPLES` nothing is decided.

    `at_least`: the low end that a FAIL takes (see `Interval`); None: `low`.
    """
    verdict = non_inferior(low, high, margin)
    unsure = verdict is Verdict.FAIL and at_least is not None and low <= high and at_least <= margin
    return Verdict.INCONCLUSIVE if unsure or n < LEAST_SAMPLES else verdict


def samples_advised(drop: float, interval: Interval, margin: float, n: int, figure: float = math.inf) -> int | None:
    """How many samples would decide (`samples_needed`) what loses what was seen, or what it most likely loses in truth.

    The lesser number: a drop next to the margin, as few samples show by chance, takes any number.
    """
    found = (
        samples_needed(drop, interval, margin, n, figure),
        samples_needed(*_shrink_drop(drop, interval, margin), margin, n, figure),
    )
    return min((number for number in found if number is not None), default=None)


def _shrink_drop(drop: float, interval: Interval, margin: float) -> tuple[float, Interval]:
    """The drop that an artifact most likely has in truth, and the interval moved there.

    The mean of a normal distribution after a figure with the error `interval.spread`, where before it was one around 0 with half
    the margin (Lindley and Smith 1972, J. of the Royal Statistical Society B 34:1): few samples say little of what is lost, and
    a number of samples that took their word would be several times what an artifact needs that loses nothing.
    """
    error = max(interval.high - drop, 0.0) / Z95 if interval.spread is None else interval.spread
    before = (margin / 2) ** 2
    expected = drop * before / (before + error**2) if margin > 0 else drop
    moved = replace(interval, low=interval.low + expected - drop, high=interval.high + expected - drop)
    return expected, moved


def samples_needed(drop: float, interval: Interval, margin: float, n: int, figure: float = math.inf) -> int | None:
    """How many samples would decide the test with a probability of `POWER`; None where no number would.

    An artifact whose true drop is `drop`, or none where that is negative, passes (or fails, where the drop is beyond the
    margin) with that probability; so does one that in truth is as good as the server model. The square of the interval's half
    is taken apart: 1.96 standard errors shrink as 1/sqrt(n), what unseen samples may do, the rest, as 1/n. (So it is of Tango's
    interval around 0, where the rest is 1.96^2 / n.) With x = 1/sqrt(n) the distance to the margin is then
    hypot(rest * x^2, 1.96 * error * x) + 0.84 * error * x, with 3 in the place of 1.96 for a FAIL; and an eighth of the rest more
    (half an answer), as counts are whole and the margin itself varies. Of an error that is not known all of the half is taken.

    `figure`: the server model's, of which unseen samples cannot take more than all. They take w / (a + w) of it, where a of the
    samples seen count: few, where few are a yes, and then the rest shrinks slower than 1/n at first.
    """
    if drop == margin or margin <= 0:
        return None
    high, low = interval.high - drop, drop - interval.low
    of_high, of_low = (half / Z95 if interval.spread is None else interval.spread for half in (high, low))
    needed = _samples_for(margin - max(drop, 0.0) if drop < margin else margin, high, of_high, n, figure=figure)
    if drop > margin:
        needed = max(needed, _samples_for(drop - margin, low, of_low, n, Z_FAIL, figure))
    return max(LEAST_SAMPLES, needed)


def samples_for_margin(margin: float, disagreement: float) -> int:
    """How many samples let an artifact as good as the server model pass a margin (a share) with a probability of `POWER`.

    `disagreement`: the share of samples that only one of the two answers rightly. As `samples_needed`; the rest is z^2 / n,
    where Tango's interval ends if no sample differs.
    """
    error = math.sqrt(disagreement)
    return _samples_for(margin, math.hypot(Z95 * error, Z95**2), error, 1)


def _samples_for(distance: float, half: float, error: float, n: int, z: float = Z95, figure: float = math.inf) -> int:
    """For a half-width that is `half` with `n` samples, of which the error `error` shrinks as 1/sqrt(n); by bisection.

    `z`: how many standard errors the interval that decides has on that side. The rest is `figure` * c / (1 + c), c as 1/n.
    """
    rest, one = math.sqrt(max(half**2 - (Z95 * error) ** 2, 0.0)) * (z / Z95) ** 2, error * math.sqrt(n)
    rest = min(rest, MOST_REST * figure)
    whole = n * rest / (1 - rest / figure)  # the rest with one sample, if it went on as 1/n
    # Each part alone takes so many, and both together at most that for a distance of half.
    few, many = (
        max(1.0, whole * (1 / part - 1 / figure), ((z + Z_POWER) * one / part) ** 2)
        for part in (distance, distance / 2.2)
    )
    for _ in range(50):
        count = (few + many) / 2
        left = whole / (count + whole / figure)
        taken = math.hypot(left, z * one / math.sqrt(count)) + Z_POWER * one / math.sqrt(count) + left / 8
        few, many = (few, count) if taken <= distance else (count, many)
    return math.ceil(many)
