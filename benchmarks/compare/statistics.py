"""Intervals and tests for paired comparisons. Each function names the publication that its formula comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship.types import Verdict

Array = np.ndarray[Any, Any]
Z95 = 1.959963984540054  # the normal distribution's 97.5 % point
SEED = 20240229
GROUPS = 2000
RESAMPLES = 2000
BATCH = 100


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


def wilson_interval(successes: int, n: int, z: float = Z95) -> Interval:
    """The score interval of one proportion (Wilson 1927, JASA 22:209). Raises ValueError where n < 1."""
    if n < 1:
        raise ValueError("no interval without samples")
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # Rounding must not push the limit off the boundary that it reaches exactly.
    return Interval(0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half)


def paired_difference(gains: int, losses: int, n: int, z: float = Z95) -> Interval:
    """The score interval of a paired difference of proportions, (gained - lost) / n, in [-1, 1].

    `gains` of `n` samples are right only with the second model, `losses` only with the first. Tango 1998, Statistics in
    Medicine 17:891-908: the differences that the score test does not reject, found by bisection. Unlike Wald's interval
    it keeps a width when the models never disagree. Raises ValueError on impossible counts.
    """
    if n < 1 or gains < 0 or losses < 0 or gains + losses > n:
        raise ValueError(f"{gains} + {losses} disagreements of {n} samples are impossible")
    estimate = (gains - losses) / n
    high = _find_boundary(lambda delta: -_tango_score(gains, losses, n, delta) - z, estimate, 1.0)
    low = _find_boundary(lambda delta: _tango_score(gains, losses, n, delta) - z, estimate, -1.0)
    return Interval(low, high)


def _tango_score(gains: int, losses: int, n: int, delta: float) -> float:
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


def bootstrap_interval(groups: int, statistic: Callable[[Array], Array]) -> Interval | None:
    """The interval of a drop by reweighting `groups` of independent samples (Rubin 1981, Annals of Statistics 9:130-134).

    `statistic` maps weights (b, groups) float64, none negative and *not whole numbers*, to (b,) values of the drop with
    each sample of a group counted so many times; 1 for every group is the drop itself. The weights are the same for every
    artifact and the ends are percentiles, so that an artifact that is better in every sample never gets a worse end.
    None where there is no interval: fewer than two groups, or the statistic is not finite.
    """
    if groups < 2:
        return None
    rng = np.random.default_rng(SEED)
    sizes = [BATCH] * (RESAMPLES // BATCH)
    drops = np.concatenate([statistic(rng.standard_exponential((size, groups))) for size in sizes])
    if not np.isfinite(drops).all():
        return None
    low, high = np.quantile(drops, (0.025, 0.975))
    return Interval(float(low), float(high))


def non_inferior(low: float, high: float, margin: float) -> Verdict:
    """The non-inferiority test: is the interval of a drop (positive is worse) below the margin, or above it."""
    if not all(map(math.isfinite, (low, high, margin))) or low > high:
        return Verdict.FAIL
    if high < margin:
        return Verdict.PASS
    return Verdict.FAIL if low > margin else Verdict.INCONCLUSIVE


def samples_needed(drop: float, low: float, high: float, margin: float, n: int) -> int | None:
    """About how many samples would decide the test, if the drop stays what it is; None where no number would.

    The half-width shrinks as 1/sqrt(n) (for proportions it is 1.96 * sqrt(r/n), r being the share of disagreements),
    and must become smaller than the distance between drop and margin.
    """
    distance = abs(margin - drop)
    half = high - drop if drop < margin else drop - low
    if distance == 0 or half <= 0:
        return None
    return math.ceil(n * max(1.0, half / distance) ** 2) + 1
