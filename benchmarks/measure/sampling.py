"""Which samples a slow device runs: as many as its time allows, spread over the classes as all of them are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgeship.data import Array, Batch

LEAST = 8  # samples that every device runs, however slow it is


def affordable_samples(total: int, seconds: float | None, per_sample: float) -> int:
    """How many of `total` samples fit into `seconds`, as 1, 2 or 5 times a power of ten, so that it varies little."""
    if seconds is None or total * per_sample <= seconds:
        return total
    fitting = seconds / per_sample
    steps: list[int] = [base * 10**power for power in range(9) for base in (1, 2, 5)]
    return min(total, max(LEAST, *(step for step in steps if step <= max(fitting, 1)), 0))


def choose_samples(labels: Mapping[str, Array], total: int, count: int) -> Array:
    """The sorted indices of `count` of `total` samples, (count,) int64.

    With class labels `y` of integers, (n,) or (n, 1), each class keeps its share (largest remainders; Hamilton's method) and its
    samples are spread evenly over the data; without them the samples are spread evenly.
    """
    if count >= total:
        return np.arange(total)
    classes = labels.get("y")
    if classes is None or classes.size != len(classes) or classes.dtype.kind not in "iu":
        return _spread_evenly(np.arange(total), count)
    classes = classes.reshape(-1)
    values, sizes = np.unique(classes, return_counts=True)
    shares = sizes * count / total
    counts = np.floor(shares).astype(np.int64)
    for place in np.argsort(counts - shares, kind="stable")[: count - int(counts.sum())]:
        counts[place] += 1
    parts = [
        _spread_evenly(np.flatnonzero(classes == value), int(number))
        for value, number in zip(values, counts, strict=True)
    ]
    return np.sort(np.concatenate(parts))


def _spread_evenly(indices: Array, count: int) -> Array:
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(np.int64)] if count else indices[:0]


def select_rows(batches: Iterator[Batch], indices: Array, size: int) -> Iterator[Batch]:
    """The chosen rows of a stream, in batches of `size`, so that an interpreter is resized once; the last may be smaller."""
    waiting_batches: list[Batch] = []
    start = waiting = 0
    for batch in batches:
        count = len(next(iter(batch.values())))
        first, last = np.searchsorted(indices, (start, start + count))
        picked = indices[first:last] - start
        start += count
        if len(picked):
            waiting_batches.append({name: array[picked] for name, array in batch.items()})
            waiting += len(picked)
        while waiting >= size:
            samples = _join_batches(waiting_batches)
            yield {name: array[:size] for name, array in samples.items()}
            waiting_batches = [{name: array[size:] for name, array in samples.items()}]
            waiting -= size
    if waiting:
        yield _join_batches(waiting_batches)


def _join_batches(parts: list[Batch]) -> dict[str, np.ndarray[Any, Any]]:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
