"""Latency figures from samples, by MLPerf's conventions (measuring.md 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship.benchmarks.statistics import SEED
from edgeship.errors import unknown

CONFIDENCE = 0.99
POINTS = 3000
MIN_BLOCKS = 5
RESAMPLES = 1000


@dataclass(frozen=True)
class Profile:
    """How long one latency run lasts: it stops when both limits are met."""

    name: str
    seconds: float
    queries: int


PROFILES: Mapping[str, Profile] = {
    # rapid and quick: MLCommons mobile_app_open; normal: the mobile_open rules; full: MLPerf inference's duration.
    "rapid": Profile("rapid", 6, 64),
    "quick": Profile("quick", 10, 128),
    "normal": Profile("normal", 60, 1024),
    "full": Profile("full", 600, 1024),
}


def profile(name: str) -> Profile:
    """The profile of that name. Raises InputError that lists the known ones."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]


def early_stopping_rank(n: int, percentile: float) -> int | None:
    """How many of the slowest of n queries are too slow to bound the percentile with 99 % confidence; None for too few.

    The largest t >= 1 such that t or fewer queries beyond the true percentile are seen with probability at most 1 - c
    (MLPerf inference's early stopping with c = 0.99 and d = 0; LoadGen's early_stopping.cc). The estimate is then the
    t-th slowest query: the t - 1 slower ones are dropped.
    """
    from scipy.special import bdtr

    beyond = 1 - percentile
    # The probability grows with t and is far above 1 - c at the expected number of slow queries.
    chances = bdtr(np.arange(int(n * beyond) + 2), n, beyond)
    slow = int(np.searchsorted(chances, 1 - CONFIDENCE, side="right")) - 1
    return slow if slow >= 1 else None


def early_stopping_estimate(samples_ms: Sequence[float], percentile: float = 0.9) -> float | None:
    """MLPerf's early-stopping estimate of a latency percentile in ms; None for too few queries (p90: 64, p99: 662)."""
    rank = early_stopping_rank(len(samples_ms), percentile)
    return None if rank is None else float(np.sort(samples_ms)[len(samples_ms) - rank])


def summarize(samples_ms: Sequence[float]) -> dict[str, Any]:
    """n, mean, min, p50, p90, p99 and the early-stopping p90 (None with too few queries) of latencies in ms."""
    values = np.asarray(samples_ms, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError("no latencies to summarize, or some that are no numbers")
    p50, p90, p99 = np.percentile(values, [50, 90, 99])
    return {
        "n": len(values), "mean_ms": float(values.mean()), "min_ms": float(values.min()), "p50_ms": float(p50),
        "p90_ms": float(p90), "p99_ms": float(p99), "p90_early_stopping_ms": early_stopping_estimate(samples_ms),
    }  # fmt: skip


def histogram(samples_ms: Sequence[float], bins: int = 40) -> dict[str, list[float]]:
    """The shape of the latencies for a report: edges (ms) and counts, up to the 99.5th percentile."""
    values = np.asarray(samples_ms, dtype=np.float64)
    counts, edges = np.histogram(values, bins, (values.min(), max(np.percentile(values, 99.5), values.min() * 1.01)))
    return {"edges": [float(edge) for edge in edges], "counts": [int(count) for count in counts]}


def ratio(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> dict[str, Any]:
    """How many times as long A takes as B: the ratio of medians of blocks that were run in turn, A, B, A, B, ...

    The 95 % percentile interval resamples pairs of neighbouring blocks (block bootstrap; Künsch 1989, Annals of
    Statistics 17:1217), since queries of one moment share that moment's weather. Blocks enter through evenly spaced
    order statistics, about 3000 in all, which bounds the work. Returns value, low, high, blocks, reason (why there is none).
    """
    blocks = min(len(ours), len(theirs))
    if blocks < MIN_BLOCKS or any(len(block) == 0 for block in (*ours, *theirs)):
        reason = f"{blocks} blocks of queries, at least {MIN_BLOCKS} full ones are needed"
        return {"value": None, "low": None, "high": None, "blocks": blocks, "reason": reason}
    a, b = (np.stack([_points(block, max(10, POINTS // blocks)) for block in side[:blocks]]) for side in (ours, theirs))
    picks = np.random.default_rng(SEED).integers(blocks, size=(RESAMPLES, blocks))
    ratios = [np.median(a[pick]) / np.median(b[pick]) for pick in picks]
    low, high = np.percentile(ratios, [2.5, 97.5])
    value = float(np.median(a) / np.median(b))
    return {"value": value, "low": float(low), "high": float(high), "blocks": blocks, "reason": ""}


def _points(block: Sequence[float], count: int) -> np.ndarray[Any, Any]:
    return np.asarray(np.quantile(np.asarray(block, dtype=np.float64), np.linspace(0, 1, count)))
