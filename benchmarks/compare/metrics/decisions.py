"""What a model's scores say: its answers, the threshold of single scores, and whether they are probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def predicted_classes(outputs: Array) -> Array:
    """The class each sample is given: argmax over the last axis of scores (n, ..., C) with C > 1, (n, ...)."""
    return np.asarray(np.argmax(outputs, axis=-1))


def threshold_of(outputs: Array) -> float:
    """Where a single binary score turns to 'yes': 0.5 for probabilities, 0 for logits (any value outside 0 to 1)."""
    return 0.5 if not outputs.size or (outputs.min() >= 0 and outputs.max() <= 1) else 0.0


def are_probabilities(scores: Array) -> bool:
    """Whether class scores (n, ..., C) are probabilities of which one holds: within 0 to 1, rows adding up to 1."""
    # int8 softmax outputs come in steps of 1/256, so that rows add up to 1 only roughly.
    return within_0_and_1(scores) and bool(abs(scores.sum(axis=-1, dtype=np.float64).mean() - 1) < 0.05)


def within_0_and_1(scores: Array) -> bool:
    """Whether all values are probabilities by their range."""
    return bool(scores.min(initial=0) >= -1e-6 and scores.max(initial=0) <= 1 + 1e-6)


def softmax(scores: Array) -> Array:
    """Class scores (n, ..., C) that are logits as probabilities, float64."""
    values = scores.astype(np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(scores: Array) -> Array:
    """Single scores that are logits as probabilities, float64."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-scores.astype(np.float64))))
