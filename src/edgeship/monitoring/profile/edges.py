"""Edges of bins: fixed ones of probabilities and times, and quantiles of data, each put between two values that occur."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CONFIDENCE = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  # fine where most answers are
MARGIN = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
ENTROPY = (0.001, 0.003, 0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)  # of the largest possible
FIRST_LATENCY, LATENCY_STEP, LATENCIES = 0.05, 1.1, 136  # to 19 seconds: any quantile is within 10 %
LEAST_GAP = (
    1e-6  # between two values with an edge between them, of the whole range: what languages compute differs by 1e-15
)
LEAST_SHARE = 1e-8  # and of the values: an edge has nine digits
BESIDE = 1e-3  # how far from the only value that occurs the edges are, of its size


def latency_edges() -> tuple[float, ...]:
    """Edges in milliseconds, to six digits, so that every language has the same."""
    return tuple(float(f"{FIRST_LATENCY * LATENCY_STEP**number:.6g}") for number in range(LATENCIES))


def quantile_edges(values: Array, bins: int) -> tuple[float, ...]:
    """At most `bins` - 1 edges between the finite of some values (n,), by quantiles; what occurs often has a bin of its own."""
    found = np.sort(values[np.isfinite(values)].astype(np.float64))
    if not len(found):
        return ()
    low, high = float(found[0]), float(found[-1])
    if high - low <= LEAST_GAP * max(abs(low), abs(high)):
        beside = max(BESIDE * abs(low), LEAST_GAP)
        return (low - beside, high + beside)
    least = max(LEAST_GAP * (high - low), LEAST_SHARE * max(abs(low), abs(high)))
    gaps = np.flatnonzero(np.diff(found) > least)  # the last of equal values before each step
    if len(gaps) > bins - 1:
        wanted = np.arange(1, bins) * len(found) / bins - 1
        gaps = np.unique(gaps[np.clip(np.searchsorted(gaps, wanted), 0, len(gaps) - 1)])
    edges = {float(f"{(found[gap] + found[gap + 1]) / 2:.9g}") for gap in gaps}
    return tuple(sorted(edges))


def count_values(values: Array, edges: tuple[float, ...]) -> tuple[int, ...]:
    """How many of some values (n,) fall between the edges; the last bin is of NaN."""
    found = np.ascontiguousarray(values, np.float64)
    # By the few edges, not by value: a tenth of the time of a search. NaN is above none.
    above = found >= np.array([-np.inf, *edges])[:, None]
    counts = [*(int(np.count_nonzero(row)) for row in above), 0]
    return (*(before - after for before, after in pairwise(counts)), len(found) - counts[0])
