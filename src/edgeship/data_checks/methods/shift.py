"""Whether two splits are drawn from the same whole: a two-sample test per column, Holm's correction over all.

Numbers by Kolmogorov and Smirnov's test, categories, classes and what is missing by a chi-squared test of their counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeship.data_checks.methods.features import Array, Feature
from edgeship.light_dataclass import dataclass

SIGNIFICANT = 0.001  # after Holm's correction: one false alarm in a thousand pairs of splits
LEAST = 5  # samples of a split below which a column is not tested
RARE = 5.0  # expected counts below which categories are put together (Cochran 1954)


@dataclass(frozen=True)
class ColumnShift:
    """How far a column's values are apart in two splits, from 0 to 1, and `p_value` after Holm's correction.

    The distance of numbers is the largest gap between the two distribution functions, that of categories half the sum of
    the differences of their shares. `what`: values, or missing.
    """

    column: str
    what: str
    distance: float
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether chance alone would hardly do this."""
        return self.p_value < SIGNIFICANT


def compare_splits(first: Sequence[Feature], second: Sequence[Feature]) -> list[ColumnShift]:
    """Test the columns that both have, under the same names; the surest differences first."""
    others = {feature.name: feature for feature in second}
    results = []
    for feature in first:
        if feature.name in others:
            results += _compare_column(feature, others[feature.name])
    p_values = holm(np.array([item.p_value for item in results]))
    corrected = [
        ColumnShift(item.column, item.what, item.distance, float(p_value))
        for item, p_value in zip(results, p_values, strict=True)
    ]
    return sorted(corrected, key=lambda item: (item.p_value, -item.distance))


def holm(p_values: Array) -> Array:
    """P-values of shape (n,), adjusted step-down (Holm 1979)."""
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    result = np.empty_like(p_values)
    result[order] = np.minimum(steps, 1)
    return result


def _compare_column(first: Feature, second: Feature) -> list[ColumnShift]:
    from scipy.stats import ks_2samp

    gaps = [_is_missing(feature) for feature in (first, second)]
    results = [_compare_counts(first.name, "missing", np.array([[gap.sum(), (~gap).sum()] for gap in gaps]))]
    values = [feature.values[~gap] for feature, gap in zip((first, second), gaps, strict=True)]
    if min(map(len, values)) >= LEAST:
        if first.categories is not None and second.categories is not None:
            results.append(_compare_counts(first.name, "values", _count_categories(first, second)))
        elif first.categories is None and second.categories is None:
            test = ks_2samp(*values)
            results.append(ColumnShift(first.name, "values", float(test.statistic), float(test.pvalue)))
    return [item for item in results if item is not None]


def _is_missing(feature: Feature) -> Array:
    return feature.values < 0 if feature.categories is not None else np.isnan(feature.values)


def _count_categories(first: Feature, second: Feature) -> Array:
    """Counts of shape (2, categories) of all that either split has."""
    names = {name: place for place, name in enumerate(dict.fromkeys((*first.categories, *second.categories)))}  # type: ignore[misc]
    counts = np.zeros((2, len(names)), np.int64)
    for row, feature in enumerate((first, second)):
        places = np.array([names[name] for name in feature.categories or ()], np.int64)
        np.add.at(counts[row], places[feature.values[feature.values >= 0]], 1)
    return counts


def _compare_counts(name: str, what: str, counts: Array) -> ColumnShift | None:
    from scipy.stats import chi2_contingency

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    least = counts.sum(axis=0) * counts.sum(axis=1).min() / max(counts.sum(), 1)  # expected in the smaller split
    rare = least < RARE
    counts = np.column_stack((counts[:, ~rare], counts[:, rare].sum(axis=1))) if rare.any() else counts
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2 or not counts.sum(axis=1).all():
        return None
    return ColumnShift(name, what, distance, float(chi2_contingency(counts).pvalue))
