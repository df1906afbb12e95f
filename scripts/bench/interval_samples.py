"""Made-up evaluations for the simulation of intervals: labels, the server model's outputs and an artifact's, by kind of task.

Each function takes a random generator, the number of samples and the damage: "none" (the artifact is as good as the server
model: both are drawn alike), "noise" (all outputs are a little worse) or "rare" (a few samples are spoilt).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics import Form

Array = np.ndarray[Any, Any]
Evaluation = tuple[Array, Array, Array]
SPOILT = 0.03  # the share of samples that "rare" spoils
WORDS = 30


@dataclass(frozen=True)
class Kind:
    """A kind of task: the form of its answers, what it is in words, and what draws an evaluation."""

    form: Form
    text: str
    draw: Callable[[np.random.Generator, int, str], Evaluation]


def _yes_probability(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logits)))


def _spoilt_rows(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.random((shape[0], *[1] * (len(shape) - 1))) < SPOILT)


def _damage_scores(rng: np.random.Generator, scores: Array, damage: str, noise: float) -> Array:
    """Scores with more noise, or turned round in the spoilt samples."""
    if damage == "noise":
        return scores + noise * rng.normal(size=scores.shape)
    return np.where(_spoilt_rows(rng, scores.shape), -scores, scores) if damage == "rare" else scores


def _draw_decisions(rng: np.random.Generator, n: int, damage: str, shift: float, scale: float) -> Evaluation:
    truth = rng.normal(size=(n, 1)) * scale - shift
    labels = (rng.random((n, 1)) < _yes_probability(2 * truth)).astype(np.int64)
    shared = truth + rng.normal(size=(n, 1))
    server, artifact = (shared + 0.3 * rng.normal(size=(n, 1)) for _ in range(2))
    return labels, server, _damage_scores(rng, artifact, damage, 1.5)


def draw_even(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Yes or no, about as often."""
    return _draw_decisions(rng, n, damage, 0.0, 3.0)


def draw_rare(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Yes or no, with 1 % of yes."""
    return _draw_decisions(rng, n, damage, 9.0, 4.0)


def draw_grid(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """A grid of 6 x 6 decisions, which have noise in common."""
    truth = rng.normal(size=(n, 36)) * 2 + rng.normal(size=(n, 1)) - 1
    labels = (rng.random(truth.shape) < _yes_probability(2 * truth)).astype(np.int64)
    shared = truth + 0.7 * rng.normal(size=truth.shape) + 0.5 * rng.normal(size=(n, 1))
    server, artifact = (shared + 0.3 * rng.normal(size=truth.shape) for _ in range(2))
    if damage == "noise":
        artifact = artifact + 0.8 * rng.normal(size=(n, 1))
    return labels, server, _damage_scores(rng, artifact, damage, 0.8)


def draw_sparse(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """A grid of 12 x 12 decisions with few yes, in some samples none; spoilt ones are all no, or what another sample has."""
    centre = rng.integers(0, 9, (n, 2))
    size = rng.choice([0, 1, 2, 3], size=n, p=[0.2, 0.4, 0.3, 0.1])
    rows, columns = (np.abs(np.arange(12) - centre[:, [axis]] - 1) for axis in (0, 1))
    labels = ((rows[:, :, None] < size[:, None, None]) & (columns[:, None] < size[:, None, None])).astype(np.int64)
    shared = 6.0 * labels - 4 + rng.normal(size=labels.shape)
    server, artifact = (shared + 0.3 * rng.normal(size=labels.shape) for _ in range(2))
    if damage == "noise":
        artifact = artifact + 0.8 * rng.normal(size=labels.shape)
    if damage == "rare":
        wrong = np.where(rng.random((n, 1, 1)) < 0.5, -6.0, artifact[rng.permutation(n)])
        artifact = np.where(_spoilt_rows(rng, artifact.shape), wrong, artifact)
    return labels, server, artifact


def draw_masks(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Pictures of 6 x 6, an object of one of three classes on background; spoilt ones are all background, or another's."""
    centre, size = rng.integers(0, 6, (n, 2)), rng.integers(1, 4, n)
    rows, columns = (np.abs(np.arange(6) - centre[:, [axis]]) for axis in (0, 1))
    inside = (rows[:, :, None] < size[:, None, None]) & (columns[:, None] < size[:, None, None])
    labels = np.where(inside, rng.choice([1, 2, 3], size=(n, 1, 1), p=[0.6, 0.3, 0.1]), 0)
    shared = rng.normal(size=(*labels.shape, 4)) + 4.0 * np.eye(4)[labels]
    server, artifact = (shared + 0.3 * rng.normal(size=shared.shape) for _ in range(2))
    if damage == "noise":
        artifact = artifact + 0.7 * rng.normal(size=shared.shape)
    if damage == "rare":
        wrong = np.where(rng.random((n, 1, 1, 1)) < 0.5, np.eye(4)[0] * 5, artifact[rng.permutation(n)])
        artifact = np.where(_spoilt_rows(rng, artifact.shape), wrong, artifact)
    return labels, server, artifact


def draw_classes(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Ten classes, of which one is five times rarer than the others."""
    labels = rng.choice(10, size=n, p=np.array([1.0] * 9 + [0.2]) / 9.2)
    shared = rng.normal(size=(n, 10)) * 1.2
    shared[np.arange(n), labels] += 3.2
    server, artifact = (shared + 0.3 * rng.normal(size=shared.shape) for _ in range(2))
    return labels, server, _damage_scores(rng, artifact, damage, 0.7)


def draw_ids(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Class numbers that the model gives itself."""
    labels, server, artifact = draw_classes(rng, n, damage)
    return labels, server.argmax(axis=1), artifact.argmax(axis=1)


def draw_values(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Values whose errors have heavy tails (Student's t with 3 degrees of freedom)."""
    truth = rng.normal(size=(n, 1)) * 3
    labels = truth + rng.standard_t(3, size=(n, 1))
    server, artifact = (truth + 0.2 * rng.normal(size=(n, 1)) for _ in range(2))
    if damage == "noise":
        artifact = truth + 0.4 * rng.standard_t(3, size=(n, 1))
    if damage == "rare":
        artifact = artifact + 6 * rng.choice([-1, 1], size=(n, 1)) * (rng.random((n, 1)) < SPOILT / 3)
    return labels, server, artifact


def draw_words(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Three to eight words each."""
    labels = rng.integers(1, WORDS, (n, 8))
    labels[np.arange(8) >= rng.integers(3, 9, (n, 1))] = 0

    def misread(words: Array, share: float) -> Array:
        wrong = (rng.random(words.shape) < share) & (labels > 0)
        return np.where(wrong, rng.integers(1, WORDS, words.shape), words)

    shared = misread(labels, 0.08)
    server, artifact = (misread(shared, 0.02) for _ in range(2))
    if damage == "noise":
        artifact = misread(artifact, 0.03)
    if damage == "rare":
        artifact = np.where(_spoilt_rows(rng, labels.shape), np.where(labels > 0, labels % WORDS + 1, 0), artifact)
    return labels, server, artifact


def draw_gains(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Twelve items to be ranked."""
    gains = rng.integers(0, 4, (n, 12)).astype(np.float64)
    shared = gains + rng.normal(size=gains.shape)
    server, artifact = (shared + 0.2 * rng.normal(size=gains.shape) for _ in range(2))
    return gains, server, _damage_scores(rng, artifact, damage, 0.8)


def draw_boxes(rng: np.random.Generator, n: int, damage: str) -> Evaluation:
    """Up to three boxes of three classes, and a false one."""
    corner, size = rng.random((n, 3, 2)) * 80, rng.random((n, 3, 2)) * 20 + 5
    classes = np.where(rng.random((n, 3)) < 0.3, -1, rng.integers(0, 3, (n, 3)))
    labels = np.concatenate([corner, corner + size, classes[..., None]], axis=-1)
    shift, missed = rng.normal(size=(n, 3, 4)), rng.random((n, 3)) < 0.1

    def find(noise: float, lost: Array) -> Array:
        boxes = np.zeros((n, 4, 6))
        boxes[:, :3, :4] = labels[..., :4] + shift + noise * rng.normal(size=shift.shape)
        boxes[:, :3, 4], boxes[:, :3, 5] = 0.5 + 0.5 * rng.random((n, 3)), np.where(lost, -1, classes)
        boxes[:, 3, 2:4], boxes[:, 3, 4], boxes[:, 3, 5] = 9, 0.6 * rng.random(n), rng.integers(0, 3, n)
        return boxes

    spoilt = missed | _spoilt_rows(rng, missed.shape) if damage == "rare" else missed
    return labels, find(0.3, missed), find(0.9 if damage == "noise" else 0.3, spoilt)


KINDS: Mapping[str, Kind] = {
    "even": Kind(Form.DECISIONS, "yes or no, as often", draw_even),
    "rare": Kind(Form.DECISIONS, "1 % yes", draw_rare),
    "grid": Kind(Form.DECISIONS, "6 x 6 yes or no", draw_grid),
    "sparse": Kind(Form.DECISIONS, "12 x 12, few yes", draw_sparse),
    "masks": Kind(Form.CLASSES, "6 x 6, 4 classes", draw_masks),
    "classes": Kind(Form.CLASSES, "10 classes", draw_classes),
    "ids": Kind(Form.IDS, "class numbers", draw_ids),
    "values": Kind(Form.VALUES, "heavy tails", draw_values),
    "words": Kind(Form.WORDS, "3 to 8 words", draw_words),
    "gains": Kind(Form.GAINS, "12 items", draw_gains),
    "boxes": Kind(Form.BOXES, "up to 3 boxes", draw_boxes),
}
