"""Counts one tensor of one sample in the bins of a profile: what `edgeship.monitoring.profile` does for many at once."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from edgeship.client.outcome import ClientError

MOST_PLAIN = 64  # classes up to which plain numbers are quicker than arrays
Histograms = list[list[int]]
Json = Mapping[str, Any]


class DescriptorCounter:
    """Counts the descriptors of a tensor: the profile's columns, or mean, deviation, low, high and step."""

    def __init__(self, name: str, form: Json) -> None:
        self.name = name
        self._edges: list[list[float]] = [item["edges"] for item in form["descriptors"]]
        self.columns: bool = form["columns"]
        self.every, self.stride = int(form["every"]), int(form["stride"])
        self.low, self.high = float(form["low"]), float(form["high"])

    def empty(self) -> Histograms:
        """Counts of nothing."""
        return [[0] * (len(edges) + 2) for edges in self._edges]

    def describe(self, tensor: Any) -> list[float]:
        """The descriptors of one sample, a tensor of any shape. Raises ClientError where it has too few numbers."""
        import numpy as np

        flat = np.asarray(tensor).ravel()
        if self.columns:
            if flat.size < len(self._edges):
                raise ClientError(f"'{self.name}' has {flat.size} numbers, and the profile {len(self._edges)}")
            return [float(value) for value in flat[: len(self._edges)]]
        if not flat.size:
            raise ClientError(f"'{self.name}' is empty")
        taken = flat[:: self.every].astype(np.float64)
        count, first = taken.size, float(taken[0])
        low, high = np.count_nonzero(taken <= self.low), np.count_nonzero(taken >= self.high)
        taken -= first
        mean = float(np.add.reduce(taken)) / count
        deviation = _find_deviation(float(taken.dot(taken)) / count, mean)
        later, earlier = flat[self.stride :: self.every], flat[: -self.stride : self.every]
        steps = np.subtract(later, earlier, dtype=np.float64)
        step = float(np.add.reduce(np.abs(steps))) / steps.size if steps.size else 0.0
        return [first + mean, deviation, low / count, high / count, step]

    def count(self, counts: Histograms, values: list[float]) -> None:
        """Add what was described of one sample."""
        for histogram, edges, value in zip(counts, self._edges, values, strict=True):
            histogram[-1 if isnan(value) else bisect_right(edges, value)] += 1


class DescriptorBatch:
    """Describes several whole tensors of a sample at once, which takes half the time of one after the other."""

    def __init__(self, counters: Sequence[DescriptorCounter]) -> None:
        self._counters = counters
        self._sizes: list[int] = []

    def _plan(self, sizes: list[int]) -> None:
        """Prepare memory: squares, numbers, those of steps, and what is taken off them, each tensor's behind the one before."""
        import numpy as np

        for counter, size in zip(self._counters, sizes, strict=True):
            if not size:
                raise ClientError(f"'{counter.name}' is empty")
        numbers = [slice(None, None, one.every) for one in self._counters]
        later = [slice(one.stride, None, one.every) for one in self._counters]
        earlier = [slice(None, -one.stride, one.every) for one in self._counters]
        self._slices = list(enumerate(numbers)) + list(enumerate(later)) + list(enumerate(earlier))
        self._counts = [len(range(size)[part]) for part, size in zip(numbers, sizes, strict=True)]
        self._steps = [len(range(size)[part]) for part, size in zip(later, sizes, strict=True)]
        count, steps = sum(self._counts), sum(self._steps)
        self._starts = np.cumsum([0, *self._counts])[:-1]
        step_starts = np.cumsum([0, *self._steps])[:-1][np.array(self._steps) > 0]
        self._sum_starts = np.concatenate([self._starts, self._starts + count, step_starts + 2 * count])
        self._flag_starts = np.concatenate([self._starts, self._starts + count])
        self._owners = np.repeat(np.arange(len(sizes)), self._counts)
        self._low, self._high = (
            np.repeat([getattr(one, side) for one in self._counters], self._counts) for side in ("low", "high")
        )
        self._flags, memory = np.empty(2 * count, bool), np.empty(2 * (count + steps))
        self._squares, self._taken, self._read = memory[:count], memory[count : 2 * count], memory[count:]
        self._later, self._earlier = memory[2 * count :][:steps], memory[2 * count :][steps:]
        self._summed = memory[: 2 * count + steps]
        self._sizes = sizes

    def describe(self, tensors: Sequence[Any]) -> list[list[float]]:
        """What `DescriptorCounter.describe` says of each, in the counters' order."""
        import numpy as np

        flats = [np.asarray(tensor).ravel() for tensor in tensors]
        sizes = [flat.size for flat in flats]
        if sizes != self._sizes:
            self._plan(sizes)
        taken, later, many, total = self._taken, self._later, len(sizes), np.add.reduceat
        np.concatenate([flats[number][part] for number, part in self._slices], out=self._read)
        np.less_equal(taken, self._low, self._flags[: taken.size])
        np.greater_equal(taken, self._high, self._flags[taken.size :])
        flagged = total(self._flags, self._flag_starts, dtype=np.intp).tolist()
        firsts = taken[self._starts]
        np.subtract(taken, firsts.take(self._owners), taken)
        np.multiply(taken, taken, self._squares)
        np.abs(np.subtract(later, self._earlier, later), later)
        sums = total(self._summed, self._sum_starts).tolist()
        step_sums = iter(sums[2 * many :])
        found = []
        for number, first in enumerate(firsts.tolist()):
            count, steps = self._counts[number], self._steps[number]
            mean = sums[many + number] / count
            deviation = _find_deviation(sums[number] / count, mean)
            low, high = flagged[number] / count, flagged[many + number] / count
            found.append([first + mean, deviation, low, high, next(step_sums) / steps if steps else 0.0])
        return found


def _find_deviation(mean_square: float, mean: float) -> float:
    variance = mean_square - mean * mean
    return math.sqrt(variance) if variance > 0 else variance if isnan(variance) else 0.0


class ClassCounter:
    """Counts the scores of an output that has classes."""

    def __init__(self, form: Json) -> None:
        self.name: str = form["name"]
        self.classes: int = form["classes"]
        self.scores: str = form["scores"]
        self._threshold: float = form["threshold"]
        self._edges: tuple[list[float], ...] = (form["confidence"], form["margin"], form["entropy"])
        self._bins = len(self._edges[0]) + 1
        self._largest_entropy = math.log(self.classes)

    def empty(self) -> tuple[dict[int, int], list[int], list[int]]:
        """Counts of nothing: of cells, margin and entropy."""
        return {}, [0] * (len(self._edges[1]) + 1), [0] * (len(self._edges[2]) + 1)

    def describe(self, scores: Any) -> tuple[int, float, float, float] | None:
        """The predicted class, its confidence, the margin and the entropy; None where a score is not finite.

        Raises ClientError for another number of scores than the profile has.
        """
        import numpy as np

        flat = np.asarray(scores).ravel()
        single = self.scores in ("score", "logit")
        if flat.size != (1 if single else self.classes):
            raise ClientError(f"'{self.name}' has {flat.size} scores, and the profile {self.classes} classes")
        if flat.size > MOST_PLAIN:
            return self._describe_many(flat.astype(np.float64))
        values = flat.tolist()
        if not math.isfinite(sum(values)):
            return None
        if single:
            return self._describe_single(values[0])
        predicted = values.index(max(values))  # of logits: softmax may make equal what is not
        if self.scores == "logits":
            values = _softmax(values)
        highest = values[predicted]
        rest = max(values[:predicted] + values[predicted + 1 :])
        entropy = -sum([value * math.log(value) for value in values if value > 0]) / self._largest_entropy
        return predicted, highest, highest - rest, entropy

    def _describe_single(self, value: float) -> tuple[int, float, float, float]:
        second = _sigmoid(value) if self.scores == "logit" else value
        first = 1 - second
        predicted = int(value >= self._threshold)
        entropy = -sum([share * math.log(share) for share in (first, second) if share > 0]) / self._largest_entropy
        return predicted, second if predicted else first, abs(second - first), entropy

    def _describe_many(self, values: Any) -> tuple[int, float, float, float] | None:
        import numpy as np

        if not math.isfinite(np.add.reduce(values)):
            return None
        predicted = int(values.argmax())
        if self.scores == "logits":
            values = np.exp(values - values.max())
            values /= np.add.reduce(values)
        rest, highest = np.partition(values, -2)[-2:].tolist()
        positive = values[values > 0]
        entropy = -float(positive.dot(np.log(positive))) / self._largest_entropy
        return predicted, highest, highest - rest, entropy

    def count(
        self, counts: tuple[dict[int, int], list[int], list[int]], found: tuple[int, float, float, float]
    ) -> None:
        """Add what was described of one sample."""
        predicted, confidence, margin, entropy = found
        cells, margins, entropies = counts
        confidences, margin_edges, entropy_edges = self._edges
        cell = predicted * self._bins + bisect_right(confidences, confidence)
        cells[cell] = cells.get(cell, 0) + 1
        margins[bisect_right(margin_edges, margin)] += 1
        entropies[bisect_right(entropy_edges, entropy)] += 1


def _softmax(values: list[float]) -> list[float]:
    highest = max(values)
    powers = [math.exp(value - highest) for value in values]
    total = sum(powers)
    return [power / total for power in powers]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
