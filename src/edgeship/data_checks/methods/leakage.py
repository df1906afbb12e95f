"""Target leakage: how well each column alone tells the label, by a small tree that is cross-validated.

A column that was written after the outcome, or is made of it, tells the label nearly perfectly. So do columns of an easy
task, but there are several of them then. A leak is therefore a column that tells the label nearly perfectly, and stands
alone in that: the next best column leaves five times its error. A column that is less sure is only a suspect, and only where
all other columns together leave five times its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeship.data_checks.methods.features import (
    Array,
    Feature,
    predict_out_of_sample,
    rank_values,
    score_outputs,
    split_folds,
)
from edgeship.light_dataclass import dataclass

SMOOTHING = 10.0  # samples that the overall share of a class weighs in a category's
SUSPECT, PERFECT = 0.97, 0.99  # area under the curve, or R2, from which a column is looked at; that no honest one has
FACTOR = 5.0  # times a leak's error that other columns leave
MOST_SUSPECTS = 0.25  # share of the columns: where more of them are suspect, the task is easy


@dataclass(frozen=True)
class ColumnScore:
    """How well a column alone tells the label, out of sample: area under the ROC curve, or R2 of a number."""

    column: str
    score: float


@dataclass(frozen=True)
class Leaks:
    """`scores` of all columns, the best first; those that leak, and the score of the `next_best` column."""

    scores: tuple[ColumnScore, ...]
    leaks: tuple[ColumnScore, ...] = ()
    next_best: float = 0.0


def find_leaks(features: Sequence[Feature], labels: Array, groups: Array | None, classes: int) -> Leaks:
    """Score the columns. Labels are class numbers of shape (n,), or numbers where `classes` is 0."""
    if not classes:
        labels = labels / (np.abs(labels).max() or 1)  # R2 is the same, and squares of the largest numbers are infinite
    scores = tuple(score_columns(features, labels, groups, classes))
    suspects = tuple(item for item in scores if item.score >= SUSPECT)
    if not suspects or len(suspects) > max(1, MOST_SUSPECTS * len(features)):
        return Leaks(scores)
    names = {item.column for item in suspects}
    others = [feature for feature in features if feature.name not in names]
    chance = 0.5 if classes else 0.0
    next_best = max([chance, *(item.score for item in scores if item.column not in names)])
    rest = None
    if others and any(item.score < PERFECT for item in suspects):
        rest = max(next_best, score_outputs(labels, predict_out_of_sample(others, labels, groups, classes)))
    leaks = []
    for item in suspects:
        bar = next_best if item.score >= PERFECT or rest is None else rest
        if 1 - bar >= FACTOR * max(1 - item.score, 1 / len(labels)):
            leaks.append(item)
    return Leaks(scores, tuple(leaks), next_best)


def score_columns(features: Sequence[Feature], labels: Array, groups: Array | None, classes: int) -> list[ColumnScore]:
    """The columns' scores, the best first.

    A category is encoded by the smoothed mean target of the training folds (Micci-Barreca 2001), a number split by a tree.
    """
    folds = split_folds(labels if classes else None, groups, len(labels))
    targets = np.eye(classes)[labels] if classes else labels[:, np.newaxis]
    scores = []
    for feature in features:
        outputs = np.zeros_like(targets)
        for train, test in folds:
            if feature.categories is None:
                outputs[test] = _predict_by_tree(feature.values, labels, train, test, targets.shape[1])
            else:
                outputs[test] = _category_means(feature, targets, train)[feature.values[test]]
        scores.append(ColumnScore(feature.name, score_outputs(labels, outputs)))
    return sorted(scores, key=lambda item: -item.score)


def _predict_by_tree(values: Array, labels: Array, train: Array, test: Array, width: int) -> Array:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    matrix = rank_values(values)[:, np.newaxis]
    leaf = max(5, len(train) // 500)
    tree: Any = (DecisionTreeClassifier if width > 1 else DecisionTreeRegressor)(min_samples_leaf=leaf, random_state=0)
    tree.fit(matrix[train], labels[train])
    outputs = np.zeros((len(test), width))
    if width > 1:
        outputs[:, tree.classes_] = tree.predict_proba(matrix[test])
    else:
        outputs[:, 0] = tree.predict(matrix[test])
    return outputs


def _category_means(feature: Feature, targets: Array, train: Array) -> Array:
    """The smoothed mean target of each category, of shape (categories + 1, targets); the last row is that of missing."""
    size = len(feature.categories or ()) + 1
    codes = feature.values[train] % size
    overall = targets[train].mean(axis=0)
    sums = np.zeros((size, targets.shape[1]))
    np.add.at(sums, codes, targets[train])
    counts = np.bincount(codes, minlength=size)[:, np.newaxis]
    means: Array = (sums + SMOOTHING * overall) / (counts + SMOOTHING)
    return means
