"""What is counted of scores of classes: the predicted class, its confidence, the margin before the next, and the entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.decisions import sigmoid, softmax
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.profile.edges import count_values
from edgeship.monitoring.profile.profile import OutputCounts, ProfileOutput

Array = np.ndarray[Any, Any]
BLOCK = 1 << 22  # numbers that are looked at in one go
FEW = 8  # classes


@dataclass(frozen=True)
class ClassFigures:
    """Of n answers, (n,) each: the predicted class, its probability, how far the next is below, and the entropy as a share."""

    predicted: Array
    confidence: Array
    margin: Array
    entropy: Array


def describe_answers(scores: Array, how: ProfileOutput) -> ClassFigures:
    """The figures of scores (n, classes), or of single ones (n,) or (n, 1), as the profile says that they are read.

    entropy = -sum(p ln p) / ln(classes), over p > 0. Of single scores p is that of the second class.
    """
    rows = max(1, BLOCK * len(scores) // max(1, scores.size))
    parts = [_describe_block(scores[start : start + rows], how) for start in range(0, max(1, len(scores)), rows)]
    return ClassFigures(*map(np.concatenate, zip(*parts, strict=True)))


def _describe_block(scores: Array, how: ProfileOutput) -> tuple[Array, Array, Array, Array]:
    values = scores.reshape(len(scores), math.prod(scores.shape[1:])).astype(np.float64)
    if how.scores in ("score", "logit"):
        single = values[:, 0]
        second = sigmoid(single) if how.scores == "logit" else single
        predicted = (single >= how.threshold).astype(np.int64)
        probabilities = np.stack([1 - second, second], axis=1)
        confidence = np.where(predicted == 1, second, 1 - second)
    else:
        predicted = values.argmax(axis=1)
        probabilities = softmax(values) if how.scores == "logits" else values
        confidence = None
    highest, second_highest = _find_two_highest(probabilities)
    positive = np.where(probabilities > 0, probabilities, 1.0)
    entropy = -np.einsum("nc->n", positive * np.log(positive)) / np.log(how.classes)
    return predicted, highest if confidence is None else confidence, highest - second_highest, entropy


def _find_two_highest(rows: Array) -> tuple[Array, Array]:
    """The highest and the second highest number of each row (n, classes); class by class where there are few, as is faster."""
    if rows.shape[1] > FEW:
        highest = np.partition(rows, -2, axis=1)
        return highest[:, -1], highest[:, -2]
    first, second = rows[:, 0], np.full(len(rows), -np.inf)
    for column in rows.T[1:]:
        second = np.maximum(second, np.minimum(first, column))
        first = np.maximum(first, column)
    return first, second


def count_answers(scores: Array, how: ProfileOutput, truth: Array | None) -> OutputCounts:
    """Scores (n, ...) in the bins of a profile; `truth`: the true classes (n,), where they are known."""
    found = describe_answers(scores, how)
    cells = found.predicted * (len(how.confidence) + 1) + _bins(found.confidence, how.confidence)
    right = () if truth is None else _to_pairs(cells[found.predicted == truth], how.cells)
    return OutputCounts(
        joint=_to_pairs(cells, how.cells),
        margin=_histogram(found.margin, how.margin),
        entropy=_histogram(found.entropy, how.entropy),
        right=right,
        labelled=truth is not None,
    )


def _bins(values: Array, edges: tuple[float, ...]) -> Array:
    return np.searchsorted(np.asarray(edges, np.float64), values, side="right")


def _histogram(values: Array, edges: tuple[float, ...]) -> tuple[int, ...]:
    return count_values(values, edges)[:-1]


def _to_pairs(cells: Array, size: int) -> tuple[int, ...]:
    counts = np.bincount(cells, minlength=size)
    used = np.flatnonzero(counts)
    return tuple(np.stack([used, counts[used]], axis=1).ravel().tolist())
