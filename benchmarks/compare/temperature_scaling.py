"""Confidence repair: one temperature for a classifier whose answers an artifact keeps and whose confidence it shifts.

Temperature scaling (Guo et al. 2017, arXiv 1706.04599, section 4.2): probabilities become softmax(z / T), which changes no
answer. T is fitted on labelled data that the evaluation does not hold, and judged on the evaluation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.benchmarks.compare.accuracy import expected_calibration_error, to_probabilities
from edgeship.benchmarks.compare.metrics import predicted_classes
from edgeship.bundle.figures.comparisons import OutputAccuracy

Array = np.ndarray[Any, Any]
SHIFT = 0.01  # of ECE against the server model's: below it nobody sees a difference
MOST_DROP = 0.01  # of accuracy: more is for the gate and `edgeship debug`
RANGE = (0.05, 20.0)
LEAST_SAMPLES = 100


def needs_temperature(accuracy: OutputAccuracy) -> bool:
    """Whether an output has answers that are as right as the server model's with a worse calibrated confidence."""
    if not accuracy.per_class or accuracy.ece is None or accuracy.ece_server is None or accuracy.drop is None:
        return False
    return accuracy.ece - accuracy.ece_server > SHIFT and accuracy.drop <= MOST_DROP


def fit_temperature(labels: Array, scores: Array) -> float:
    """The temperature with the least mean negative log-likelihood; `labels` (n,) class numbers, `scores` (n, C).

    Raises ValueError for fewer than `LEAST_SAMPLES` samples or scores that are no numbers.
    """
    from scipy.optimize import minimize_scalar

    if len(labels) < LEAST_SAMPLES or not np.isfinite(scores).all():
        raise ValueError(f"a temperature needs at least {LEAST_SAMPLES} samples with finite scores")
    logits = _to_logits(scores)
    rows = np.arange(len(labels))

    def loss(exponent: float) -> float:
        scaled = logits / np.exp(exponent)
        scaled -= scaled.max(axis=-1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=-1)) - scaled[rows, labels]).mean())

    result = minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded")
    return float(np.exp(result.x))


def calibration_error(labels: Array, scores: Array, temperature: float = 1.0) -> float:
    """The ECE of scores (n, C) at a temperature."""
    logits = _to_logits(scores) / temperature
    logits -= logits.max(axis=-1, keepdims=True)
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    confidences = shares if temperature != 1.0 else to_probabilities(scores)[0]
    return expected_calibration_error(confidences.max(axis=-1), predicted_classes(confidences) == labels)


def _to_logits(scores: Array) -> Array:
    """Logits as they are, probabilities as their logarithms; what was rounded to zero is half the smallest step."""
    shares, were_logits = to_probabilities(scores)
    if were_logits:
        return scores.astype(np.float64)
    least = shares[shares > 0].min() / 2
    return np.asarray(np.log(np.maximum(shares, least)))
