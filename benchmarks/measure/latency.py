"""Latency figures from samples, by MLPerf's conventions (measuring.md 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edgeship.bundle.figures.measurement import Histogram, LatencySummary
from edgeship.errors import unknown_name_error
from edgeship.light_dataclass import dataclass

CONFIDENCE = 0.99
MIN_PAIRS = 5
# One pair in so many is trimmed at each end: a moment's weather may hit all blocks of one process.
TRIMMED_OF = 8
# Two-sided 97 % by the theory of bell curves, for 95 % in practice: processes' layouts come in a few kinds, and files
# against their own copies were held by 91 to 98 of 100 intervals that were 95 % wide.
QUANTILE = 0.985


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


def find_profile(name: str) -> Profile:
    """The profile of that name. Raises InputError that lists the known ones."""
    if name not in PROFILES:
        raise unknown_name_error("profile", name, PROFILES)
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


def summarize_latencies(samples_ms: Sequence[float]) -> LatencySummary:
    """Count, mean, least, percentiles and the early-stopping p90 (None with too few queries) of latencies in ms."""
    values = np.asarray(samples_ms, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError("no latencies to summarize, or some that are no numbers")
    p50, p90, p99 = map(float, np.percentile(values, [50, 90, 99]))
    return LatencySummary(
        n=len(values),
        mean_ms=float(values.mean()),
        min_ms=float(values.min()),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        p90_early_stopping_ms=early_stopping_estimate(samples_ms),
    )


def latency_histogram(samples_ms: Sequence[float], bins: int = 40) -> Histogram:
    """The shape of the latencies for a report, up to the 99.5th percentile."""
    values = np.asarray(samples_ms, dtype=np.float64)
    counts, edges = np.histogram(values, bins, (values.min(), max(np.percentile(values, 99.5), values.min() * 1.01)))
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)))


Blocks = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Ratio:
    """How many times as long one artifact takes as another, with its 95 % interval; no value where `reason` says why.

    `pairs` of fresh processes and `blocks` of queries of each artifact in all of them are what it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    pairs: int
    blocks: int
    reason: str = ""


def no_ratio(reason: str) -> Ratio:
    """A ratio that was not taken."""
    return Ratio(None, None, None, 0, 0, reason)


def block_ratio(pairs: Sequence[tuple[Blocks, Blocks]]) -> Ratio:
    """How many times as long A takes as B, from queries in ms of several pairs of fresh processes (A, B).

    Within a pair blocks were run in turn, A, B, B, A, ...: the pair's figure is the median of the log ratios of
    neighbouring blocks' medians, through which a moment's weather falls out. Memory layout differs from process to
    process and is the same for all blocks of one, so pairs and not blocks are what is independent: the interval is
    that of the trimmed mean over the pairs' log ratios, widened by what the clock cannot tell apart.
    """
    if len(pairs) < MIN_PAIRS:
        return no_ratio(f"{len(pairs)} pairs of processes, at least {MIN_PAIRS} are needed")
    if any(min(len(ours), len(theirs)) == 0 or not all([*ours, *theirs]) for ours, theirs in pairs):
        return no_ratio("a process answered no query")
    if any(np.median(block) <= 0 for pair in pairs for side in pair for block in side):
        return no_ratio("queries are shorter than the clock can tell")
    centre, half = trimmed_mean([_log_ratio(ours, theirs) for ours, theirs in pairs])
    half += sum(_clock_resolution(side) for side in zip(*pairs, strict=True))
    blocks = sum(min(len(ours), len(theirs)) for ours, theirs in pairs)
    value, low, high = (math.exp(log) for log in (centre, centre - half, centre + half))
    return Ratio(value, low, high, len(pairs), blocks)


def trimmed_mean(values: Sequence[float]) -> tuple[float, float]:
    """The trimmed mean and half of its interval: Student's t with the winsorized deviation (Tukey and McLaughlin, 1963)."""
    from scipy.special import stdtrit

    ordered, cut = np.sort(np.array(values, np.float64)), len(values) // TRIMMED_OF
    middle = ordered[cut : len(ordered) - cut]
    deviation = float(np.clip(ordered, middle[0], middle[-1]).std(ddof=1))
    error = deviation / (len(middle) / len(ordered) * math.sqrt(len(ordered)))
    return float(middle.mean()), float(stdtrit(len(middle) - 1, QUANTILE)) * error


def _log_ratio(ours: Blocks, baseline: Blocks) -> float:
    medians = [(np.median(a), np.median(b)) for a, b in zip(ours, baseline, strict=False)]
    return float(np.median([math.log(a / b) for a, b in medians]))


def _clock_resolution(blocks: Sequence[Blocks]) -> float:
    """Half a tick of the clock, as a share of the median query: browsers round times to 5 or 100 microseconds."""
    samples = np.concatenate([np.asarray(block, dtype=np.float64) for side in blocks for block in side])
    ticks = np.diff(np.unique(samples))
    return float(ticks.min() / 2 / np.median(samples)) if ticks.size else 0.0
