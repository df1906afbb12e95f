"""Counts one tensor of one sample in the bins of a profile: what `edgeship.monitoring.profile` does for many at once."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
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
        self._columns: bool = form["columns"]
        self._every, self._stride = int(form["every"]), int(form["stride"])
        self._low, self._high = float(form["low"]), float(form["high"])

    def empty(self) -> Histograms:
        """Counts of nothing."""
        return [[0] * (len(edges) + 2) for edges in self._edges]

    def describe(self, tensor: Any) -> list[float]:
        """The descriptors of one sample, a tensor of any shape. Raises ClientError where it has too few numbers."""
        import numpy as np

        flat = np.asarray(tensor).ravel()
        if self._columns:
            if flat.size < len(self._edges):
                raise ClientError(f"'{self.name}' has {flat.size} numbers, and the profile {len(self._edges)}")
            return [float(value) for value in flat[: len(self._edges)]]
        if not flat.size:
            raise ClientError(f"'{self.name}' is empty")
        taken = flat[:: self._every].astype(np.float64)
        count, first = taken.size, float(taken[0])
        low, high = np.count_nonzero(taken <= self._low), np.count_nonzero(taken >= self._high)
        taken -= first
        mean = float(np.add.reduce(taken)) / count
        variance = float(taken.dot(taken)) / count - mean * mean
        deviation = math.sqrt(variance) if variance > 0 else variance if math.isnan(variance) else 0.0
        later, earlier = flat[self._stride :: self._every], flat[: -self._stride : self._every]
        steps = np.subtract(later, earlier, dtype=np.float64)
        step = float(np.add.reduce(np.abs(steps))) / steps.size if steps.size else 0.0
        return [first + mean, deviation, low / count, high / count, step]

    def count(self, counts: Histograms, values: list[float]) -> None:
        """Add what was described of one sample."""
        for histogram, edges, value in zip(counts, self._edges, values, strict=True):
            histogram[len(edges) + 1 if math.isnan(value) else bisect_right(edges, value)] += 1


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
