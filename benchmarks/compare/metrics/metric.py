"""What a metric is: its name, which answers it takes, and its figure as a function of how often each sample is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
PLAIN_SHARES = ("top1", "top5", "binary_accuracy", "exact_match")
OF_RANKS = ("roc_auc", "average_precision")  # of scores in their order, whatever their scale; also averages of them
CHUNK = 1 << 22  # values that are held at once where a resample needs one for each answer


class Form(StrEnum):
    """What outputs and labels are. Negative labels of classes, answers and words are padding and count nowhere."""

    CLASSES = "class scores (n, ..., C) and class numbers (n, ...), or one-hot rows"
    TWO_CLASSES = "scores of two classes (n, ..., 2) and class numbers"
    DECISIONS = "a score for each yes or no, and labels 0 or 1 of the same shape"
    IDS = "whole numbers that the model gives itself, and labels of the same shape"
    VALUES = "values, and labels of the same shape"
    GAINS = "a score (n, items) and a relevance of at least 0 for each item"
    BOXES = "boxes (n, D, 6) as x1, y1, x2, y2, score, class, and labels (n, G, 5) as x1, y1, x2, y2, class"
    WORDS = "numbers of words (n, T), or their scores (n, T, V), and labels (n, L)"
    OWN = "whatever the function takes"


class Statistic(Protocol):
    """A figure of resamples of n samples. `scored` (n, ...) is what it takes of each sample: where equal, it counts alike."""

    @property
    def scored(self) -> Array:
        """See the class."""

    def __call__(self, counts: Array) -> Array:
        """The figure where sample i is counted `counts[:, i]` times: (b, n) float64 -> (b,); NaN where there is none."""

    def group(self, groups: Array) -> Statistic:
        """The same of groups of samples, of which `groups` (n,) gives the number: it takes counts (b, groups)."""


@dataclass(frozen=True)
class SumStatistic:
    """A figure that `combine` makes, (..., d) -> (...), of sums over samples of `parts` (n, d)."""

    parts: Array
    combine: Callable[[Array], Array]

    @property
    def scored(self) -> Array:
        """See `Statistic`."""
        return self.parts

    def __call__(self, counts: Array) -> Array:
        """See `Statistic`."""
        return self.combine(counts @ self.parts)

    def group(self, groups: Array) -> SumStatistic:
        """See `Statistic`."""
        sums = np.zeros((groups.max() + 1, self.parts.shape[1]))
        np.add.at(sums, groups, self.parts)
        return SumStatistic(sums, self.combine)


@dataclass(frozen=True)
class CountStatistic:
    """A figure that is no function of sums: `figure` of the counts of all samples."""

    figure: Callable[[Array], Array]
    scored: Array
    groups: Array | None = None

    def __call__(self, counts: Array) -> Array:
        """See `Statistic`."""
        return self.figure(counts if self.groups is None else counts[:, self.groups])

    def group(self, groups: Array) -> CountStatistic:
        """See `Statistic`."""
        return CountStatistic(self.figure, self.scored, groups)


Prepare = Callable[[Array, Array, bool], Statistic]


@dataclass(frozen=True)
class TaskMetric:
    """One way to score outputs against labels.

    `forms`: for each form of answers that it takes, in the order in which they are tried, what makes its statistic of labels,
    outputs and whether the outputs are logits; `form`: the one that holds. `share`: it is told in percent, its drop in points.
    `why`: why it was taken unasked, where that is not plain.
    """

    name: str
    higher_is_better: bool
    share: bool
    forms: Mapping[Form, Prepare]
    form: Form = Form.VALUES
    why: str = ""

    @property
    def classes(self) -> bool:
        """Whether labels are class numbers (n, ...) and outputs class scores (n, ..., C)."""
        return self.form in (Form.CLASSES, Form.TWO_CLASSES)

    @property
    def answers(self) -> bool:
        """Whether each label is met by an answer that is right or wrong, a class or a yes or no."""
        return self.classes or self.form is Form.DECISIONS

    @property
    def is_plain_share(self) -> bool:
        """Whether the figure is the share of answers that are right, each of which counts alike."""
        return self.name in PLAIN_SHARES

    @property
    def ranks(self) -> bool:
        """Whether only the order of the scores counts."""
        return self.name.endswith(OF_RANKS)

    def statistic(self, labels: Array, outputs: Array, *, logits: bool) -> Statistic:
        """What the figures of a model are made by; labels in the shape that `form` says."""
        return self.forms[self.form](labels, outputs, logits)


def in_chunks(figure: Callable[[Array], Array], counts: Array, width: int) -> Array:
    """`figure` of counts (b, n), so many rows at a time that `width` values of each fit into memory."""
    rows = max(1, CHUNK // max(width, 1))
    return np.concatenate([figure(counts[start : start + rows]) for start in range(0, len(counts), rows)])


def per_sample(values: Array) -> Array:
    """All values of a sample in one row, (n, m)."""
    return values.reshape(len(values), -1)


def ratio(numerator: Array, denominator: Array) -> Array:
    """The quotient; NaN for 0 / 0, which is no figure."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(numerator / denominator)


def ratio_of_sums(sums: Array) -> Array:
    """The first of two sums over the second."""
    return ratio(sums[..., 0], sums[..., 1])
