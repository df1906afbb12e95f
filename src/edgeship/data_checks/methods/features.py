"""Sampled columns as numbers that scikit-learn's models take, and the folds that these are cross-validated in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
FOLDS = 5
MOST_CODES = 200  # categories that a model tells apart; scikit-learn's boosted trees take at most 255


@dataclass(frozen=True)
class Feature:
    """A column of n samples: numbers (float64, NaN where missing), or codes (int64, -1 where missing) of `categories`."""

    name: str
    values: Array
    categories: tuple[str, ...] | None = None


def encode_categories(name: str, texts: Iterable[str | None]) -> Feature:
    """Texts as a feature of codes, the most frequent 0; None is missing."""
    places: dict[str, int] = {}
    codes = np.array([-1 if text is None else places.setdefault(text, len(places)) for text in texts], np.int64)
    order = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(places)), kind="stable")
    rank = np.full(len(places) + 1, -1, np.int64)  # -1 finds the last one
    rank[order] = np.arange(len(places))
    names = list(places)
    return Feature(name, rank[codes], tuple(names[index] for index in order))


def rank_values(values: Array) -> Array:
    """The place of each number among the different ones (float64, NaN where it is not finite).

    Trees split by order alone; and scikit-learn's take numbers as float32, which holds neither dates nor large numbers.
    """
    finite = np.isfinite(values)
    ranks = np.full(len(values), np.nan)
    ranks[finite] = np.unique(values[finite], return_inverse=True)[1]
    return ranks


def stack_features(features: Sequence[Feature]) -> tuple[Array, Array]:
    """A matrix of shape (samples, features), float64 with NaN where missing, and which features are categories (bool).

    Numbers are ranks; categories beyond the 200 most frequent share one code.
    """
    columns = []
    for feature in features:
        if feature.categories is None:
            columns.append(rank_values(feature.values))
        else:
            columns.append(np.where(feature.values < 0, np.nan, np.minimum(feature.values, MOST_CODES)))
    return np.stack(columns, axis=1), np.array([feature.categories is not None for feature in features])


def split_folds(labels: Array | None, groups: Array | None, samples: int) -> list[tuple[Array, Array]]:
    """(training, test) indices of five folds: stratified by class labels, with whole groups where there are some."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    folds: Any
    if groups is not None:
        folds = GroupKFold(FOLDS) if labels is None else StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    else:
        folds = (KFold if labels is None else StratifiedKFold)(FOLDS, shuffle=True, random_state=0)
    return list(folds.split(np.zeros(samples), labels, groups))


def predict_out_of_sample(features: Sequence[Feature], labels: Array, groups: Array | None, classes: int) -> Array:
    """What gradient-boosted trees say of samples that they have not seen (five folds).

    Class probabilities of shape (n, classes) for labels from 0 on; where `classes` is 0, numbers of shape (n, 1).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    matrix, is_category = stack_features(features)
    result = np.zeros((len(labels), max(classes, 1)))
    for train, test in split_folds(labels if classes else None, groups, len(labels)):
        model: Any = (HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor)(
            max_leaf_nodes=8,
            min_samples_leaf=max(2, min(20, len(train) // 50)),
            l2_regularization=1.0,
            categorical_features=is_category if is_category.any() else None,
            early_stopping=False,
            random_state=0,
        )
        empty = np.isnan(matrix[train]).all(axis=0)  # scikit-learn fails over a column without a value
        known = np.where(empty, 0.0, matrix)
        model.fit(known[train], labels[train])
        if classes:
            result[np.ix_(test, model.classes_)] = model.predict_proba(known[test])
        else:
            result[test, 0] = model.predict(known[test])
    return result


def score_outputs(labels: Array, outputs: Array) -> float:
    """Area under the ROC curve, or R2 where the labels are numbers (outputs of shape (n, 1)).

    The area is that of each class against the rest, averaged over classes without weights; R2 is 1 minus the share of the
    variance that is left.
    """
    from sklearn.metrics import r2_score, roc_auc_score

    if outputs.shape[1] == 1:
        return float(r2_score(labels, outputs[:, 0]))
    return float(np.mean([roc_auc_score(labels == kind, outputs[:, kind]) for kind in np.unique(labels)]))
