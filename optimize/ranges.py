"""From what tensors hold on representative data to the ranges that int8 spans: every kind of calibration but min-max.

The same for every format: a runtime gives its tensors, sample by sample, and gets ranges back. Values are kept as histograms
that grow with what they see (litert-quantizer's), so memory does not grow with the data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Range = list[float]

BINS = 2048
LEVELS = 256  # of 8 bits
SMOOTHING = 0.95  # as litert-quantizer's own moving average
PERCENTILE = 0.9999  # of the values lie inside, the rest equally at both ends
# Ranges that are tried: from this share of the largest magnitude up to all of it (TensorRT starts at 128 of 2048 bins).
LEAST, TRIALS = 1 / 16, 128
FEW = 16  # values a bin, on average


class Watched:
    """What was seen of each tensor."""

    def __init__(self) -> None:
        self._histograms: dict[str, Any] = {}
        self._smooth: dict[str, tuple[float, float]] = {}
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def add(self, tensors: Mapping[str, Array]) -> None:
        """One sample's tensors, float32 of any shape. Values that are not finite count for nothing here."""
        list(self._pool.map(self._one, tensors, tensors.values()))

    def _one(self, name: str, array: Array) -> None:
        from litert_quantizer.utils.histogram_utils import DynamicHistogram

        if not array.size:
            return
        low, high = float(array.min()), float(array.max())
        was = self._smooth.get(name)
        if was:
            low, high = (SMOOTHING * old + (1 - SMOOTHING) * new for old, new in zip(was, (low, high), strict=True))
        self._smooth[name] = low, high
        self._histograms.setdefault(name, DynamicHistogram(max_tensor_bins=BINS)).add(array)

    def ranges(self) -> dict[str, dict[str, Range]]:
        """Per kind, per tensor: the least and the largest value that int8 shall hold."""
        found: dict[str, dict[str, Range]] = {
            "moving-average": {name: list(pair) for name, pair in self._smooth.items()}
        }
        for kind, chosen in _KINDS.items():
            rows = self._pool.map(lambda item, chosen=chosen: _of(item, chosen), self._histograms.values())
            found[kind] = dict(zip(self._histograms, rows, strict=True))
        return found


Choose = Callable[[Array, Array, float, float], tuple[float, float]]


def _of(histogram: Any, choose: Choose) -> Range:
    """A range within what was really seen."""
    low, high = float(histogram.global_min[0]), float(histogram.global_max[0])
    if not low < high:
        return [low, high]
    centres = histogram.lower_bound + (np.arange(len(histogram.counts)) + 0.5) * histogram.bin_width
    start, end = choose(histogram.counts.astype(np.float64), np.clip(centres, low, high), low, high)
    return [max(low, float(start)), min(high, float(end))]


def _percentile(counts: Array, centres: Array, low: float, high: float) -> tuple[float, float]:
    """The values that leave (1 - PERCENTILE) / 2 of all on either side."""
    share = np.cumsum(counts) / counts.sum()
    places = np.searchsorted(share, [(1 - PERCENTILE) / 2, (1 + PERCENTILE) / 2])
    start, end = centres[np.minimum(places, len(centres) - 1)]
    return start, end


def _entropy(counts: Array, centres: Array, low: float, high: float) -> tuple[float, float]:
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
        kept = counts[inside]
        if not kept.any():
            return float("inf")
        clipped = kept.copy()
        clipped[0] += counts[centres < start].sum()
        clipped[-1] += counts[centres > end].sum()
        level = np.minimum((centres[inside] - start) / (end - start) * LEVELS, LEVELS - 1).astype(int)
        used = np.maximum(np.bincount(level, kept > 0, LEVELS), 1)
        coarse = np.where(kept > 0, (np.bincount(level, kept, LEVELS) / used)[level], 0)
        # A bin that only clipping filled has no share in the other distribution: a small one, or nothing would be comparable.
        coarse = np.maximum(coarse, 1e-4)
        return float(rel_entr(clipped / clipped.sum(), coarse / coarse.sum()).sum())

    return _best(low, high, divergence)


def _mse(counts: Array, centres: Array, low: float, high: float) -> tuple[float, float]:
    """The range with the least mean square error: rounding inside of it (step^2 / 12), clipping outside."""

    def error(start: float, end: float) -> float:
        beyond = np.maximum(start - centres, 0) + np.maximum(centres - end, 0)
        step = (end - start) / (LEVELS - 1)
        return float((counts * np.where(beyond > 0, beyond**2, step**2 / 12)).sum())

    return _best(low, high, error)


def _best(low: float, high: float, cost: Callable[[float, float], float]) -> tuple[float, float]:
    """Of the ranges that are tried the one that costs least; zero is inside of each, as int8 needs it."""
    largest = max(-low, high)
    tried = [(max(low, -size), min(high, size)) for size in largest * np.linspace(1, LEAST, TRIALS)]
    ordered = [(min(start, 0.0), max(end, 0.0)) for start, end in tried]
    return min(ordered, key=lambda pair: cost(*pair))


_KINDS: dict[str, Choose] = {"percentile": _percentile, "entropy": _entropy, "mse": _mse}
