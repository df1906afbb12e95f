"""Metrics of answers, right or wrong: accuracy, precision, recall, F1, IoU. Names and values are scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.decisions import predicted_classes
from edgeship.benchmarks.compare.metrics.metric import (
    Form,
    Prepare,
    SumStatistic,
    TaskMetric,
    per_sample,
    ratio,
    ratio_of_sums,
)

Array = np.ndarray[Any, Any]
Average = Callable[[Array, Array, Array], Array]
EXACT = "exact_match"


def _hits(labels: Array, right: Array) -> SumStatistic:
    """The share of labels that are met; negative ones are padding."""
    counted = per_sample(labels >= 0)
    parts = np.stack([(per_sample(right) & counted).sum(1), counted.sum(1)], axis=1).astype(np.float64)
    return SumStatistic(parts, ratio_of_sums)


def _top_k(k: int) -> Prepare:
    def prepare(labels: Array, outputs: Array, _: bool) -> SumStatistic:
        if k == 1:
            return _hits(labels, predicted_classes(outputs) == labels)
        best = np.argpartition(outputs, -min(k, outputs.shape[-1]), axis=-1)[..., -k:]
        return _hits(labels, (best == labels[..., None]).any(axis=-1))

    return prepare


def decide(outputs: Array, *, logits: bool) -> Array:
    """0 or 1 for each score, int64."""
    return (outputs > (0.0 if logits else 0.5)).astype(np.int64)


def _decision_hits(labels: Array, outputs: Array, logits: bool) -> SumStatistic:
    return _hits(labels, decide(outputs, logits=logits) == labels)


def _exact_hits(labels: Array, outputs: Array, _: bool) -> SumStatistic:
    return _hits(labels, outputs == labels)


def _count_classes(numbers: Array, counted: Array, classes: int) -> Array:
    """How often each class stands in a sample, (n, classes)."""
    rows = np.arange(len(numbers))[:, None] * classes
    flat = (per_sample(numbers) + rows)[per_sample(counted)]
    return np.bincount(flat, minlength=len(numbers) * classes).reshape(len(numbers), classes).astype(np.float64)


def _class_counts(labels: Array, outputs: Array) -> tuple[Array, Array, Array]:
    """Hits, answers and labels of each class in each sample, (n, C) each."""
    counted, answers, classes = labels >= 0, predicted_classes(outputs), outputs.shape[-1]
    return (
        _count_classes(labels, counted & (answers == labels), classes),
        _count_classes(answers, counted, classes),
        _count_classes(labels, counted, classes),
    )


def _label_counts(labels: Array, outputs: Array, *, logits: bool) -> tuple[Array, Array, Array]:
    """Hits, answers and labels of 'yes' for each place of the last axis in each sample, (n, L) each."""
    kinds = labels.shape[-1] if labels.ndim > 1 else 1
    counted = (labels >= 0).reshape(len(labels), -1, kinds)
    answers = decide(outputs, logits=logits).reshape(counted.shape) * counted
    truth = labels.reshape(counted.shape) * counted
    return tuple(values.sum(axis=1).astype(np.float64) for values in (answers * truth, answers, truth))  # type: ignore[return-value]


def _statistic(counts: tuple[Array, Array, Array], average: Average) -> SumStatistic:
    parts = np.concatenate(counts, axis=1)
    return SumStatistic(parts, lambda sums: average(*np.split(sums, 3, axis=-1)))


def _prepare_classes(average: Average, pick: slice = slice(None)) -> Prepare:
    def prepare(labels: Array, outputs: Array, _: bool) -> SumStatistic:
        hits, answers, true = _class_counts(labels, outputs)
        return _statistic((hits[:, pick], answers[:, pick], true[:, pick]), average)

    return prepare


def _prepare_decisions(average: Average) -> Prepare:
    return lambda labels, outputs, logits: _statistic(_label_counts(labels, outputs, logits=logits), average)


def _prepare_both_answers(average: Average) -> Prepare:
    """'No' and 'yes' as two classes, all decisions pooled."""

    def prepare(labels: Array, outputs: Array, logits: bool) -> SumStatistic:
        hits, answers, true = (
            values.sum(axis=1, keepdims=True) for values in _label_counts(labels, outputs, logits=logits)
        )
        total = per_sample(labels >= 0).sum(axis=1, keepdims=True)
        both = (hits, total - answers - true + hits), (answers, total - answers), (true, total - true)
        hits, answers, true = (np.concatenate(pair[::-1], axis=1) for pair in both)
        return _statistic((hits, answers, true), average)

    return prepare


def _precision(hits: Array, answers: Array, true: Array) -> Array:
    return ratio(hits, np.where((answers == 0) & (true > 0), 1.0, answers))


def _recall(hits: Array, answers: Array, true: Array) -> Array:
    return ratio(hits, np.where((true == 0) & (answers > 0), 1.0, true))


def _f1(hits: Array, answers: Array, true: Array) -> Array:
    return ratio(2 * hits, answers + true)


def _jaccard(hits: Array, answers: Array, true: Array) -> Array:
    return ratio(hits, answers + true - hits)


def _micro(score: Average) -> Average:
    return lambda *counts: score(*(values.sum(axis=-1) for values in counts))


def _mean_of_present(values: Array) -> Array:
    """The mean over the last axis without what is NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def _macro(score: Average, *, absent_counts: bool = False) -> Average:
    """The mean over classes that occur, in labels or answers; of labels (`absent_counts`) all, absent ones as 0."""

    def average(hits: Array, answers: Array, true: Array) -> Array:
        values = score(hits, answers, true)
        return np.nan_to_num(values).mean(axis=-1) if absent_counts else _mean_of_present(values)

    return average


def _weighted(score: Average) -> Average:
    def average(hits: Array, answers: Array, true: Array) -> Array:
        values = np.nan_to_num(score(hits, answers, true))
        return ratio((values * true).sum(axis=-1), true.sum(axis=-1))

    return average


def _recall_of_present(hits: Array, _: Array, true: Array) -> Array:
    return _mean_of_present(ratio(hits, true))


def _averaged(name: str, score: Average) -> tuple[TaskMetric, ...]:
    """A score of 'yes' (of class 1 of two), and its averages over the classes, or over the labels of the last axis."""
    micro, one = _micro(score), slice(1, None)
    plain = {Form.DECISIONS: _prepare_decisions(micro), Form.TWO_CLASSES: _prepare_classes(micro, one)}
    macro = {
        Form.CLASSES: _prepare_classes(_macro(score)),
        Form.DECISIONS: _prepare_decisions(_macro(score, absent_counts=True)),
    }
    return (
        TaskMetric(name, True, True, plain),
        *(
            TaskMetric(
                f"{word}_{name}",
                True,
                True,
                {Form.CLASSES: _prepare_classes(average), Form.DECISIONS: _prepare_decisions(average)},
            )
            for word, average in (("micro", micro), ("weighted", _weighted(score)))
        ),
        TaskMetric(f"macro_{name}", True, True, macro),
    )


def _of_classes(name: str, average: Average) -> TaskMetric:
    forms = {Form.CLASSES: _prepare_classes(average), Form.DECISIONS: _prepare_both_answers(average)}
    return TaskMetric(name, True, True, forms)


METRICS = (
    TaskMetric("top1", True, True, {Form.CLASSES: _top_k(1)}),
    TaskMetric("top5", True, True, {Form.CLASSES: _top_k(5)}),
    TaskMetric("binary_accuracy", True, True, {Form.DECISIONS: _decision_hits}),
    TaskMetric(EXACT, True, True, {Form.IDS: _exact_hits}),
    *_averaged("f1", _f1),
    *_averaged("precision", _precision),
    *_averaged("recall", _recall),
    _of_classes("balanced_accuracy", _recall_of_present),
    _of_classes("mean_iou", _macro(_jaccard)),
)
