"""Statistics of numbers that come in parts, in one pass and bounded memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeship.tables.schema import NumberStatistics

MOST_KEPT = 100_000  # values that the median is taken of

Array = np.ndarray[Any, Any]


class NumberSummary:
    """Adds parts up. Mean and deviation by Chan, Golub and LeVeque (1979), who merge the sums of squares of parts."""

    def __init__(self) -> None:
        self.count = self.infinite = self._seen = 0
        self.mean = self.squares = 0.0
        self.minimum, self.maximum = math.inf, -math.inf
        self.whole = True
        self._step = 1
        self._kept: list[Array] = []

    def add(self, values: Array) -> None:
        """Add numbers, float64 of shape (n,), without NaN."""
        finite = values[np.isfinite(values)]
        self.infinite += len(values) - len(finite)
        if not len(finite):
            return
        self.minimum, self.maximum = min(self.minimum, float(finite.min())), max(self.maximum, float(finite.max()))
        self.whole = self.whole and bool((np.floor(finite) == finite).all())
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # squares of numbers near the largest float: deviation is inf
            mean, total = float(finite.mean()), self.count + len(finite)
            difference = mean - self.mean
            parts = self.count * len(finite) / total * difference * difference  # `**` would raise
            self.squares += float(np.square(finite - mean).sum()) + parts
        self.mean += difference * (len(finite) / total)
        self.count = total
        self._keep(finite)

    def _keep(self, values: Array) -> None:
        """Keep every k-th value, and every second of those kept where they become too many."""
        self._kept.append(values[(-self._seen) % self._step :: self._step])
        self._seen += len(values)
        if sum(map(len, self._kept)) > MOST_KEPT:
            self._kept = [np.concatenate(self._kept)[::2]]
            self._step *= 2

    def describe(self) -> NumberStatistics | None:
        """The statistics; None where no finite number was added."""
        if not self.count:
            return None
        median = float(np.median(np.concatenate(self._kept)))
        deviation = math.sqrt(self.squares / self.count)
        return NumberStatistics(self.minimum, self.maximum, self.mean, deviation, median, self.whole, self.infinite)
