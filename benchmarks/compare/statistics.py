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


def bootstrap_interval(sums: Array, statistic: Callable[[Array], Array]) -> Interval | None:
    """The BCa bootstrap interval of a statistic of sums over samples (Efron 1987, JASA 82:171-185).

    `sums` is (groups, d): per group the sums that the statistic is made of; `statistic` maps (..., d) totals to (...).
    None where the interval does not exist: fewer than two groups, or totals that no statistic can be made of. A
    statistic that is the same for every resample gives an interval of zero width.
    """
    if len(sums) < 2:
        return None

    def resample(index: Array, axis: int = -1) -> Array:
        flat = np.moveaxis(np.atleast_2d(index), axis, -1).astype(np.int64)
        rows = flat.reshape(-1, flat.shape[-1])
        offsets = np.arange(len(rows))[:, None] * len(sums)
        counts = np.bincount((rows + offsets).ravel(), minlength=len(rows) * len(sums)).reshape(len(rows), -1)
        return statistic(counts.astype(np.float64) @ sums).reshape(index.shape[:axis] if index.ndim > 1 else ())

    leave_one_out = statistic(sums.sum(axis=0) - sums)
    if not np.isfinite(leave_one_out).all():
        return None
    if np.ptp(leave_one_out) == 0:
        return Interval(float(leave_one_out[0]), float(leave_one_out[0]))
    # Imported only now: scipy.stats takes a second, and a model compared with itself needs none of it.
    from scipy.stats import bootstrap as scipy_bootstrap

    result = scipy_bootstrap(
        (np.arange(len(sums)),),
        resample,
        n_resamples=RESAMPLES,
        batch=100,
        vectorized=True,
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(float(result.low), float(result.high)) if np.isfinite([result.low, result.high]).all() else None


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
