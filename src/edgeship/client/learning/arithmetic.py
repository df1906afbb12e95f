"""A head in numpy: its answers, how good they are, one step of its training, and which samples a step takes.

The formulas and their source are those of `edgeship.convert.head.step`, which the artifact `head_step` is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Head(NamedTuple):
    """A dense layer: `weights` (features, outputs) and `bias` (outputs,)."""

    weights: Array
    bias: Array


def compute_scores(features: Array, head: Head) -> Array:
    """(n, outputs) for (n, features)."""
    return np.asarray(features @ head.weights + head.bias)


def apply_activation(scores: Array, activation: str) -> Array:
    """The answers for scores of the same shape: shares for softmax and sigmoid, the scores themselves for linear."""
    if activation == "softmax":
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        return np.asarray(powers / powers.sum(-1, keepdims=True))
    if activation == "sigmoid":
        return np.asarray(np.exp(-np.logaddexp(0.0, -scores)))
    return scores


def compute_loss(scores: Array, target: Array, activation: str) -> float:
    """The mean over samples of what `head_step` calls loss."""
    if activation == "softmax":
        shifted = scores - scores.max(-1, keepdims=True)
        losses = -target * (shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))
    elif activation == "sigmoid":
        losses = np.logaddexp(0.0, scores) - scores * target
    else:
        losses = 0.5 * (scores - target) ** 2
    return float(losses.sum(1).mean())


def take_step(features: Array, target: Array, rate: float, head: Head, activation: str) -> tuple[Head, float]:
    """The head after one step, and the loss before it, in the dtype of what is given."""
    scores = compute_scores(features, head)
    error = (apply_activation(scores, activation) - target) / len(features)
    stepped = Head(head.weights - rate * (features.T @ error), head.bias - rate * error.sum(0))
    return stepped, compute_loss(scores, target, activation)


def mix_heads(old: Head, new: Head, share: float) -> Head:
    """The head that lies so far on the way from an old to a new one, float32."""
    return Head(*(first + np.float32(share) * (last - first) for first, last in zip(old, new, strict=True)))


def measure_quality(features: Array, target: Array, head: Head, activation: str) -> float:
    """The share of right answers: the best class for softmax, each output at 0.5 for sigmoid; 1 - error / variance for linear."""
    scores = compute_scores(features, head)
    if activation == "softmax":
        return float((scores.argmax(1) == target.argmax(1)).mean())
    if activation == "sigmoid":
        return float(((scores > 0) == (target > 0.5)).mean())
    spread = float(((target - target.mean(0)) ** 2).mean())
    error = float(((scores - target) ** 2).mean())
    return 1.0 - error / spread if spread else float(error == 0)


def safe_rate(features: Array, activation: str) -> float:
    """A learning rate at which gradient descent on all of these samples (n, features) cannot raise the loss.

    It is 1 / L for a bound L on the curvature: c times the largest eigenvalue of the mean of x x^T, x being a sample's features
    and a 1; c = 1/2 for softmax (Böhning, Multinomial logistic regression algorithm, 1992), 1/4 for sigmoid, 1 for linear.
    """
    curvature = {"softmax": 0.5, "sigmoid": 0.25, "linear": 1.0}[activation]
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1).astype(np.float64)
    return float(len(rows) / (curvature * np.linalg.norm(rows, 2) ** 2))


def list_batches(corrected: int, replay: int, batch: int, steps: int) -> Iterator[tuple[Array, Array]]:
    """For each step the indices of the corrected and of the replayed samples that it takes.

    They are half and half; few corrected ones are taken once each. Both go round and round, so that any client takes the same:
    no random numbers. Without replay all are corrected ones.
    """
    fresh = _count_fresh(corrected, replay, batch)
    kept = batch - fresh
    for step in range(steps):
        yield (
            np.arange(step * fresh, (step + 1) * fresh) % corrected,
            np.arange(step * kept, (step + 1) * kept) % (replay or 1),
        )


def count_steps(corrected: int, replay: int, batch: int, passes: int, bounds: tuple[int, int]) -> int:
    """How many steps `passes` over the corrected samples are, within bounds."""
    fresh = _count_fresh(corrected, replay, batch)
    fewest, most = bounds
    return max(fewest, min(most, passes * -(-corrected // fresh)))


def _count_fresh(corrected: int, replay: int, batch: int) -> int:
    """How many of a batch are corrected samples: half, but none of them twice where others can fill it."""
    return min(batch // 2, corrected) if replay else batch
