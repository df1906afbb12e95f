"""The metric of a task: a function of sums over samples, so that an interval of any of them takes bounded time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship.errors import InputError, unknown_name_error

Array = np.ndarray[Any, Any]
EXACT = "exact_match"
IDS = ("int32", "int64", "bool")  # of whole numbers those that stand for something; bytes are rather pixels


@dataclass(frozen=True)
class TaskMetric:
    """One way to score outputs against labels.

    `parts(labels, outputs)` gives (n, d) per-sample values whose sums `combine` makes the figure of, (..., d) -> (...).
    `share`: it lies between 0 and 1 (its drop is told in percentage points). `classes`: outputs are class scores,
    shape (n, ..., C), and labels class numbers, shape (n, ...); otherwise labels have the outputs' shape.
    """

    name: str
    higher_is_better: bool
    share: bool
    classes: bool
    parts: Callable[[Array, Array], Array]
    combine: Callable[[Array], Array]


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


def predicted_decisions(metric: TaskMetric, outputs: Array, threshold: float = 0.5) -> Array:
    """What the model decides for each sample: class numbers, or 0/1 for binary scores; whole numbers are decisions."""
    if metric.name == EXACT:
        return outputs
    return predicted_classes(outputs) if metric.classes else (outputs > threshold).astype(np.int64)


def _per_sample(values: Array) -> Array:
    return values.reshape(len(values), -1)


def _hit_parts(labels: Array, right: Array) -> Array:
    """(right, counted) per sample; negative labels are padding and count nowhere."""
    counts = _per_sample(labels >= 0)
    return np.stack([(_per_sample(right) & counts).sum(1), counts.sum(1)], axis=1).astype(np.float64)


def _top_k_parts(k: int) -> Callable[[Array, Array], Array]:
    def parts(labels: Array, outputs: Array) -> Array:
        if k == 1:
            return _hit_parts(labels, predicted_classes(outputs) == labels)
        best = np.argpartition(outputs, -min(k, outputs.shape[-1]), axis=-1)[..., -k:]
        return _hit_parts(labels, (best == labels[..., None]).any(axis=-1))

    return parts


def _f1_parts(labels: Array, outputs: Array) -> Array:
    """(hits, answers, labels) per class and sample: 3 * C columns."""
    classes = outputs.shape[-1]
    eye = np.eye(classes, dtype=np.float32)
    counted = (labels >= 0)[..., None]
    answered, true = eye[predicted_classes(outputs)] * counted, eye[np.where(labels >= 0, labels, 0)] * counted
    stacked = np.concatenate([answered * true, answered, true], axis=-1)
    return np.asarray(stacked.reshape(len(labels), -1, 3 * classes).sum(axis=1), dtype=np.float64)


def _mean_f1(sums: Array) -> Array:
    """The mean over classes of 2 * hits / (answers + labels), over the classes that occur."""
    hits, answered, true = np.split(sums, 3, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nanmean(2 * hits / (answered + true), axis=-1))


def _sum_ratio(sums: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def _error_parts(power: int) -> Callable[[Array, Array], Array]:
    def parts(labels: Array, outputs: Array) -> Array:
        error = np.abs(_per_sample(outputs.astype(np.float64)) - _per_sample(labels.astype(np.float64))) ** power
        return np.stack([error.mean(axis=1), np.ones(len(error))], axis=1)

    return parts


def _binary_parts(labels: Array, outputs: Array) -> Array:
    return _hit_parts(labels, outputs == labels)


METRICS: Mapping[str, TaskMetric] = {
    metric.name: metric
    for metric in (
        TaskMetric("top1", True, True, True, _top_k_parts(1), _sum_ratio),
        TaskMetric("top5", True, True, True, _top_k_parts(5), _sum_ratio),
        TaskMetric("macro_f1", True, True, True, _f1_parts, _mean_f1),
        TaskMetric("binary_accuracy", True, True, False, _binary_parts, _sum_ratio),
        TaskMetric(EXACT, True, True, False, _binary_parts, _sum_ratio),
        TaskMetric("mae", False, False, False, _error_parts(1), _sum_ratio),
        TaskMetric("rmse", False, False, False, _error_parts(2), lambda sums: np.asarray(np.sqrt(_sum_ratio(sums)))),
    )
}


def choose_metric(labels: Array, outputs: Array, metric: str | None = None) -> tuple[TaskMetric, Array, Array]:
    """The metric that fits labels and outputs (or the named one), with both in the shapes that it takes.

    Class numbers or one-hot rows with class scores (n, ..., C): top1. 0/1 labels with single scores: binary_accuracy.
    Whole numbers where the model gives class numbers or other ids itself: exact_match. Labels of the outputs' shape
    otherwise: mae. Raises InputError where they do not fit each other.
    """
    if metric is not None and metric not in METRICS:
        raise unknown_name_error("metric", metric, METRICS)
    if labels.dtype.kind in "SU":
        raise InputError("the labels are text: give class numbers from 0; their names go into labels of [data]")
    if labels.dtype.kind not in "biuf" or outputs.dtype.kind not in "biuf":
        raise InputError(f"labels are {labels.dtype}, outputs {outputs.dtype}: both must be numbers")
    if not (labels.ndim and labels.size and outputs.ndim and outputs.size):
        raise InputError("labels and outputs must be numbers for each sample, and there are none")
    if len(labels) != len(outputs):
        raise InputError(f"{len(labels)} labels for {len(outputs)} outputs: they must match one to one")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise InputError("the labels hold NaN or infinity")
    task = METRICS[metric] if metric else METRICS[_default_metric(labels, outputs)]
    if task.classes:
        return task, _class_numbers(labels, outputs), outputs
    same = _squeeze_labels(labels, outputs)
    if same is None:
        raise InputError(
            f"labels of shape {_shape_text(labels)} do not fit outputs of shape {_shape_text(outputs)}: give class numbers "
            f"of shape {_shape_text(outputs[..., 0]) if outputs.ndim > 1 else 'n'}, or values of the outputs' shape"
        )
    return task, same.astype(np.int64) if task.name in ("binary_accuracy", EXACT) else same, outputs


def _default_metric(labels: Array, outputs: Array) -> str:
    ids = outputs.dtype.name in IDS and not set(np.unique(outputs)) <= {0, 1}
    if ids and _are_whole_numbers(labels) and _squeeze_labels(labels, outputs) is not None:
        return EXACT
    scores = outputs.ndim > 1 and outputs.shape[-1] > 1
    if scores and (
        _one_hot(labels, outputs) or (_are_whole_numbers(labels) and _without_scores(labels, outputs) is not None)
    ):
        return "top1"
    if set(np.unique(labels)) <= {0, 1} and _squeeze_labels(labels, outputs) is not None:
        return "binary_accuracy"
    return "mae"


def _class_numbers(labels: Array, outputs: Array) -> Array:
    """Labels as int64 class numbers of shape outputs.shape[:-1]; one-hot rows become numbers."""
    classes = outputs.shape[-1]
    if _one_hot(labels, outputs):
        return predicted_classes(labels)
    numbers = _without_scores(labels, outputs)
    if numbers is None or not _are_whole_numbers(labels):
        raise InputError(
            f"labels of shape {_shape_text(labels)} ({labels.dtype}) are no class numbers "
            f"for outputs of shape {_shape_text(outputs)}"
        )
    numbers = numbers.astype(np.int64)
    if numbers.max(initial=0) >= classes or (numbers.ndim == 1 and numbers.min(initial=0) < 0):
        raise InputError(
            f"labels run from {numbers.min()} to {numbers.max()}, "
            f"but the model tells {classes} classes apart (0 to {classes - 1})"
        )
    if not (numbers >= 0).any():
        raise InputError("every label is negative, which marks padding: nothing to score")
    return numbers


def _one_hot(labels: Array, outputs: Array) -> bool:
    same = labels.shape == outputs.shape and labels.shape[-1] > 1 and labels.ndim > 1
    return same and bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=-1) == 1).all())


def _are_whole_numbers(labels: Array) -> bool:
    return labels.dtype.kind in "biu" or bool((labels == np.round(labels)).all())


def _without_scores(labels: Array, outputs: Array) -> Array | None:
    """Labels in the shape of outputs without their last axis, or None."""
    shape = outputs.shape[:-1]
    return labels.reshape(shape) if labels.size == np.prod(shape) and len(shape) <= labels.ndim else None


def _squeeze_labels(labels: Array, outputs: Array) -> Array | None:
    """Labels in the outputs' shape if they differ by axes of length 1 only, or None."""
    plain = [size for size in labels.shape if size != 1] == [size for size in outputs.shape if size != 1]
    return labels.reshape(outputs.shape) if plain else None


def _shape_text(array: Array) -> str:
    return "x".join(map(str, array.shape))
