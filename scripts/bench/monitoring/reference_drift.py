"""The experiment before the product, on the same weeks: what `judge_week` must not find less of.

A permutation test over installations of the largest standardized chi-square (299 permutations, level 1 %), and the estimated
accuracy's drop, by the normal quantile of 99 % and with installations as the clusters, beyond the tolerance. No slices, no cap
on heavy users, no correction for few installations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.monitoring.drift.installs import Installs
from edgeship.monitoring.drift.judge import TOLERANCE
from edgeship.monitoring.drift.layout import Layout

Array = np.ndarray[Any, Any]
DRAWS, LEVEL, QUANTILE = 299, 0.01, 2.3263


def judge_by_reference(before: Installs, now: Installs, layout: Layout, seed: int) -> tuple[bool, bool]:
    """Whether something moved, and whether there is an alarm."""
    return _p_moved(before, now, layout, seed) <= LEVEL, _least_drop(before, now) > TOLERANCE


def _p_moved(before: Installs, now: Installs, layout: Layout, seed: int) -> float:
    rng = np.random.default_rng(seed)
    rows = np.concatenate([now.counts, before.counts]).astype(np.float32)
    chosen = np.zeros((DRAWS + 1, len(rows)), dtype=np.float32)
    chosen[0, : len(now)] = 1
    for draw in range(1, DRAWS + 1):
        chosen[draw, rng.choice(len(rows), len(now), replace=False)] = 1
    sums, total = (chosen @ rows).astype(np.float64), rows.sum(axis=0, dtype=np.float64)
    statistics = []
    for item in layout.histograms:
        there = np.flatnonzero(total[item.start : item.stop]) + item.start
        if len(there):
            part, whole = sums[:, there], total[there]
            count, counts = part.sum(axis=1, keepdims=True), whole.sum()
            own, other = count * whole / counts, (counts - count) * whole / counts
            statistics.append(_chi_square(part, own) + _chi_square(whole - part, other))
    values = np.stack(statistics, axis=1)
    spread = values.std(axis=0)
    largest = ((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)).max(axis=1)
    return float((largest >= largest[0] - 1e-6).mean())


def _chi_square(counts: Array, expected: Array) -> Array:
    return np.asarray(((counts - expected) ** 2 / expected).sum(axis=1))


def _least_drop(before: Installs, now: Installs) -> float:
    """What the estimate surely fell, as a share."""
    (first, first_variance), (second, second_variance) = (_ratio(side) for side in (before, now))
    return first - second - QUANTILE * float(np.sqrt(first_variance + second_variance))


def _ratio(side: Installs) -> tuple[float, float]:
    count, total = len(side), side.inferences.sum()
    value = side.right.sum() / total
    residuals = side.right - value * side.inferences
    return float(value), float((residuals**2).sum() * count / (count - 1) / total**2)
