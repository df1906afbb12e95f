"""From what tensors hold on representative data to the ranges that int8 spans: every calibration method but min-max.

The same for every format: a runtime gives its tensors, sample by sample, and gets ranges back. Values are kept as histograms
that grow with what they see, so memory does not grow with the data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from edgeship.recipes.quantization import MIN_MAX

Array = np.ndarray[Any, Any]
Range = list[float]

BINS = 2048
LEVELS = 256  # of 8 bits
SMOOTHING = 0.95  # as litert-quantizer's own moving average
PERCENTILE = 0.9999  # of the values lie inside, the rest equally at both ends
# Ranges that are tried: from this share of the largest magnitude up to all of it (TensorRT starts at 128 of 2048 bins).
LEAST, TRIALS = 1 / 16, 128
FEW = 16  # values a bin, on average


class Histogram:
    """Counts of values in BINS equal bins, which double in width until all that was seen fits in."""

    def __init__(self, low: float, high: float) -> None:
        room = 0.1 * (high - low) or 1e-4
        self.low, self.width = low - room, (high - low + 2 * room) / BINS
        self.counts = np.zeros(BINS)

    def add(self, values: Array, low: float, high: float) -> None:
        """Values between `low` and `high`, both finite."""
        from fast_histogram import histogram1d

        while low < self.low or high >= self.low + BINS * self.width:
            halves = self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2)
            if low < self.low:
                self.low, halves = self.low - BINS * self.width, halves[::-1]
            self.width *= 2
            self.counts = np.concatenate(halves)
        self.counts += histogram1d(values, BINS, (self.low, self.low + BINS * self.width))

    @property
    def centres(self) -> Array:
        """Of the bins."""
        return self.low + (np.arange(BINS) + 0.5) * self.width


class ObservedTensor:
    """What was seen of each tensor."""

    def __init__(self) -> None:
        self._histograms: dict[str, Histogram] = {}
        self._extremes: dict[str, tuple[float, float]] = {}
        self._smooth: dict[str, tuple[float, float]] = {}
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._counting: list[Future[None]] = []

    def add(self, tensors: Mapping[str, Array]) -> None:
        """One sample's tensors, float32 of any shape; they are counted while the caller computes the next sample's."""
        self._finish_counting()
        self._counting = [self._pool.submit(self._count_tensor, name, array) for name, array in tensors.items()]

    def _finish_counting(self) -> None:
        for job in self._counting:
            job.result()

    def _count_tensor(self, name: str, array: Array) -> None:
        if not array.size:
            return
        low, high = float(array.min()), float(array.max())
        least, largest = self._extremes.get(name, (low, high))
        self._extremes[name] = float(np.minimum(least, low)), float(np.maximum(largest, high))  # NaN stays NaN
        if not np.isfinite([low, high]).all():
            return
        if name not in self._histograms:
            self._histograms[name], self._smooth[name] = Histogram(low, high), (low, high)
        self._histograms[name].add(array, low, high)
        previous, new = np.array(self._smooth[name]), np.array([low, high])
        least, largest = (SMOOTHING * previous + (1 - SMOOTHING) * new).tolist()
        self._smooth[name] = least, largest

    def ranges(self) -> dict[str, dict[str, Range]]:
        """Per kind, per tensor: the least and the largest value that int8 shall hold; of min-max they may be infinite or NaN."""
        self._finish_counting()
        by_method: dict[str, dict[str, Range]] = {
            MIN_MAX: {name: list(pair) for name, pair in self._extremes.items()},
            "moving-average": {name: list(pair) for name, pair in self._smooth.items()},
        }
        for method, choose in _KINDS.items():
            by_method[method] = {
                name: _choose_range(histogram, *self._extremes[name], choose)
                for name, histogram in self._histograms.items()
            }
        return by_method


Choose = Callable[[Array, Array, float, float], tuple[float, float]]


def _choose_range(histogram: Histogram, low: float, high: float, choose: Choose) -> Range:
    """A range within what was really seen."""
    if not low < high:
        return [low, high]
    start, end = choose(histogram.counts, np.clip(histogram.centres, low, high), low, high)
    return [max(low, float(start)), min(high, float(end))]


def _percentile_range(counts: Array, centres: Array, low: float, high: float) -> tuple[float, float]:
    """The values that leave (1 - PERCENTILE) / 2 of all on either side."""
    share = np.cumsum(counts) / counts.sum()
    places = np.searchsorted(share, [(1 - PERCENTILE) / 2, (1 + PERCENTILE) / 2])
    start, end = centres[np.minimum(places, len(centres) - 1)]
    return start, end


def _entropy_range(counts: Array, centres: Array, low: float, high: float) -> tuple[float, float]:
    """The range whose 256 levels lose the least information of the distribution.

    Kullback-Leibler divergence between the clipped distribution and the same in 256 levels, spread evenly over the bins that
    hold values (Migacz, "8-bit inference with TensorRT", GTC 2017). On at most 512 bins: on finer ones a value
    that is frequent by itself, as a picture's background gives one, counts as lost where it shares a level with others. With
    few values there is no distribution to speak of, and the range is left whole.
    """
    from scipy.special import rel_entr

    if counts.sum() < FEW * 2 * LEVELS:
        return low, high
    starts = np.arange(0, len(counts), -(-len(counts) // (2 * LEVELS)))
    centres = np.add.reduceat(centres, starts) / np.add.reduceat(np.ones_like(centres), starts)
    counts = np.add.reduceat(counts, starts)

    def divergence(start: float, end: float) -> float:
        inside = (centres >= start) & (centres <= end)
        inside_counts = counts[inside]
        if not inside_counts.any():
            return float("inf")
        counts_with_ends = inside_counts.copy()
        counts_with_ends[0] += counts[centres < start].sum()
        counts_with_ends[-1] += counts[centres > end].sum()
        level = np.minimum((centres[inside] - start) / (end - start) * LEVELS, LEVELS - 1).astype(int)
        nonzero_bins = np.maximum(np.bincount(level, inside_counts > 0, LEVELS), 1)
        coarse = np.where(inside_counts > 0, (np.bincount(level, inside_counts, LEVELS) / nonzero_bins)[level], 0)
        # A bin that only clipping filled has no share in the other distribution: a small one, or nothing would be comparable.
        coarse = np.maximum(coarse, 1e-4)
        return float(rel_entr(counts_with_ends / counts_with_ends.sum(), coarse / coarse.sum()).sum())

    return _cheapest_range(low, high, divergence)


def _mse_range(counts: Array, centres: Array, low: float, high: float) -> tuple[float, float]:
    """The range with the least mean square error: rounding inside of it (step^2 / 12), clipping outside."""

    def error(start: float, end: float) -> float:
        beyond = np.maximum(start - centres, 0) + np.maximum(centres - end, 0)
        step = (end - start) / (LEVELS - 1)
        return float((counts * np.where(beyond > 0, beyond**2, step**2 / 12)).sum())

    return _cheapest_range(low, high, error)


def _cheapest_range(low: float, high: float, cost: Callable[[float, float], float]) -> tuple[float, float]:
    """Of the ranges that are tried the one that costs least; zero is inside of each, as int8 needs it."""
    largest = max(-low, high)
    candidates = [(max(low, -size), min(high, size)) for size in largest * np.linspace(1, LEAST, TRIALS)]
    ranges_with_zero = [(min(start, 0.0), max(end, 0.0)) for start, end in candidates]
    return min(ranges_with_zero, key=lambda pair: cost(*pair))


_KINDS: dict[str, Choose] = {"percentile": _percentile_range, "entropy": _entropy_range, "mse": _mse_range}
