"""Metrics of how far values are off: errors, r2, and log loss of probabilities. Names and values are scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.decisions import sigmoid, softmax
from edgeship.benchmarks.compare.metrics.metric import (
    Form,
    Prepare,
    SumStatistic,
    TaskMetric,
    per_sample,
    ratio,
    ratio_of_sums,
)
from edgeship.errors import InputError

Array = np.ndarray[Any, Any]
R2_VALUES = 1024  # of a sample: sums of each are kept


def _powers(power: int, root: float = 1.0) -> Prepare:
    def prepare(labels: Array, outputs: Array, _: bool) -> SumStatistic:
        error = np.abs(per_sample(outputs.astype(np.float64)) - per_sample(labels.astype(np.float64))) ** power
        parts = np.stack([error.mean(axis=1), np.ones(len(error))], axis=1)
        return SumStatistic(parts, lambda sums: np.asarray(ratio_of_sums(sums) ** root))

    return prepare


def _r2(labels: Array, outputs: Array, _: bool) -> SumStatistic:
    """1 - squares of errors / squares of deviations, averaged over the values of a sample."""
    truth, values = per_sample(labels.astype(np.float64)), per_sample(outputs.astype(np.float64))
    if truth.shape[1] > R2_VALUES:
        raise InputError(
            f"r2 takes {R2_VALUES:,} values of a sample, at most, and there are {truth.shape[1]:,}: use rmse"
        )
    centred = np.where(
        np.ptp(truth, axis=0) == 0, 0.0, truth - truth.mean(axis=0)
    )  # squares of large values would cancel each other's digits
    parts = np.concatenate([(values - truth) ** 2, centred, centred**2, np.ones((len(truth), 1))], axis=1)

    def combine(sums: Array) -> Array:
        errors, total, squares = np.split(sums[..., :-1], 3, axis=-1)
        spread = np.maximum(squares - total**2 / sums[..., -1:], 0.0)
        # A label that never varies: 1 where it is met, else 0, as in scikit-learn.
        return np.asarray(np.where(spread > 0, 1 - ratio(errors, spread), errors == 0).mean(axis=-1))

    return SumStatistic(parts, combine)


def _clip(outputs: Array, probabilities: Array) -> Array:
    """Probabilities away from 0 and 1 by the smallest step of the outputs' own type."""
    kind = outputs.dtype if outputs.dtype.kind == "f" else np.dtype(np.float64)
    step = float(np.finfo(kind).eps)
    return np.clip(probabilities.astype(np.float64), step, 1 - step)


def _mean_loss(losses: Array, counted: Array) -> SumStatistic:
    losses, counted = per_sample(np.where(counted, losses, 0.0)), per_sample(counted)
    return SumStatistic(np.stack([losses.sum(axis=1), counted.sum(axis=1)], axis=1).astype(np.float64), ratio_of_sums)


def _class_loss(labels: Array, outputs: Array, logits: bool) -> SumStatistic:
    chosen = np.maximum(labels, 0)[..., None]
    if logits:
        losses = -np.log(np.clip(np.take_along_axis(softmax(outputs), chosen, axis=-1)[..., 0], 1e-300, 1.0))
    else:
        losses = -np.log(_clip(outputs, np.take_along_axis(outputs, chosen, axis=-1)[..., 0]))
    return _mean_loss(losses, labels >= 0)


def _decision_loss(labels: Array, outputs: Array, logits: bool) -> SumStatistic:
    yes = np.clip(sigmoid(outputs), 1e-300, 1 - 1e-16) if logits else _clip(outputs, outputs)
    return _mean_loss(-np.where(labels > 0, np.log(yes), np.log1p(-yes)), labels >= 0)


METRICS = (
    TaskMetric("mae", False, False, {Form.VALUES: _powers(1)}),
    TaskMetric("rmse", False, False, {Form.VALUES: _powers(2, 0.5)}),
    TaskMetric("r2", True, False, {Form.VALUES: _r2}),
    TaskMetric("log_loss", False, False, {Form.CLASSES: _class_loss, Form.DECISIONS: _decision_loss}),
)
OF_VALUES = tuple(metric.name for metric in METRICS if Form.VALUES in metric.forms)
