"""Which metric fits labels and outputs, and both in the shapes that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.answers import EXACT
from edgeship.benchmarks.compare.metrics.catalogue import METRICS, find_metric
from edgeship.benchmarks.compare.metrics.decisions import predicted_classes, threshold_of
from edgeship.benchmarks.compare.metrics.metric import Form, TaskMetric
from edgeship.errors import InputError

Array = np.ndarray[Any, Any]
BINARY = "binary_accuracy"
RARE, LEAST_F1 = 0.1, 0.5
MOST_CLASSES = 256  # what a byte of a mask can tell apart; more are rather words, each of which is rare
IDS = ("int32", "int64", "bool")  # of whole numbers those that stand for something; bytes are rather pixels


def choose_metric(labels: Array, outputs: Array, metric: str | None = None) -> tuple[TaskMetric, Array, Array]:
    """The metric that fits labels and outputs (or the named one) in its form, with both in the shapes that it takes.

    Class numbers or one-hot rows with class scores (n, ..., C): top1; mean_iou of several answers a sample, as masks, with a rare
    class (`_metric_of_places`). 0/1 labels with single scores: binary_accuracy. Of these and of two classes, where few labels
    are 1, a metric that sees them (`_metric_of_decisions`). Whole numbers where the model gives class numbers or other ids
    itself: exact_match. Labels of the outputs' shape otherwise: mae. Raises InputError where
    they do not fit each other, with the metrics that do.
    """
    task = find_metric(metric) if metric is not None else None
    own = task is not None and Form.OWN in task.forms
    _check_arrays(labels, outputs, any_type=own)
    if task is not None and own:
        return task, labels, outputs
    if task is None:
        task = METRICS[_default_metric(labels, outputs)]
    form, truth = _fit_labels(task, labels, outputs)
    task = replace(task, form=form)
    if metric is None and (task.name == BINARY or (task.classes and outputs.shape[-1] == 2)):
        task = _metric_of_decisions(task, truth, outputs)
    elif metric is None and task.name == "top1":
        task = _metric_of_places(task, truth, outputs)
    return task, truth, outputs


def _metric_of_decisions(usual: TaskMetric, truth: Array, outputs: Array) -> TaskMetric:
    """The metric of decisions of which few should be a yes, else the usual one.

    With a share p of positives, accuracy falls by p / 10 where a tenth of them is lost. Below p = 0.1 that is less than the
    point that the usual margin (99 % of the server model's figure) forgives. Where the model's own f1 is below 0.5 its
    threshold is not what it is used by; then the order of its scores counts.
    """
    share = float((truth > 0).sum() / (truth >= 0).sum())
    if not 0 < share < RARE:
        return usual
    form = Form.TWO_CLASSES if usual.classes else Form.DECISIONS
    f1 = replace(METRICS["f1"], form=form)
    figure = f1.statistic(truth, outputs, logits=threshold_of(outputs) == 0.0)(np.ones((1, len(truth))))[0]
    few = f"{100 * share:.2g} % of the labels are 1: accuracy would hardly fall with them"
    if figure >= LEAST_F1 or outputs.dtype.kind != "f":
        return replace(f1, why=few)
    ranked = replace(METRICS["average_precision"], form=form)
    return replace(ranked, why=f"{few}, and f1 at the threshold is {figure:.2f}")


def _metric_of_places(usual: TaskMetric, truth: Array, outputs: Array) -> TaskMetric:
    """mean_iou for class numbers (n, ...) of several places a sample of which a class that occurs is rare, else the usual one.

    With a share p of the places, top1 falls by p / 10 where a tenth of the class is lost: see `_metric_of_decisions`.
    """
    if truth[0].size < 2 or not 3 <= outputs.shape[-1] <= MOST_CLASSES:
        return usual
    counts = np.bincount(truth[truth >= 0])
    shares = np.where(counts > 0, counts, np.inf) / counts.sum()
    rarest = int(shares.argmin())
    if shares[rarest] >= RARE:
        return usual
    share = f"{100 * shares[rarest]:.2g} % of the labels are class {rarest}"
    return replace(METRICS["mean_iou"], form=Form.CLASSES, why=f"{share}: top1 would hardly fall with it")


def _check_arrays(labels: Array, outputs: Array, *, any_type: bool) -> None:
    if labels.dtype.kind in "SU" and not any_type:
        raise InputError("the labels are text: give class numbers from 0; their names go into labels of [data]")
    if (labels.dtype.kind not in "biuf" or outputs.dtype.kind not in "biuf") and not any_type:
        raise InputError(f"labels are {labels.dtype}, outputs {outputs.dtype}: both must be numbers")
    if not (labels.ndim and labels.size and outputs.ndim and outputs.size):
        raise InputError("labels and outputs must be numbers for each sample, and there are none")
    if len(labels) != len(outputs):
        raise InputError(f"{len(labels)} labels for {len(outputs)} outputs: they must match one to one")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise InputError("the labels hold NaN or infinity")


def _fit_labels(task: TaskMetric, labels: Array, outputs: Array) -> tuple[Form, Array]:
    """The first form of the metric that labels and outputs have, and the labels in its shape."""
    reasons = []
    for form in task.forms:
        try:
            return form, _CONVERTERS[form](labels, outputs)
        except InputError as error:
            reasons.append(str(error))
    fitting = ", ".join(name for name, other in METRICS.items() if other is not task and _fits(other, labels, outputs))
    raise InputError(
        f"{task.name}: {'; '.join(dict.fromkeys(reasons))}" + (f"; {fitting} would fit" if fitting else "")
    )


def _fits(task: TaskMetric, labels: Array, outputs: Array) -> bool:
    for form in task.forms:
        try:
            _CONVERTERS[form](labels, outputs)
        except InputError:
            continue
        return True
    return False


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
        return BINARY
    return "mae"


def _class_numbers(labels: Array, outputs: Array) -> Array:
    """Labels as int64 class numbers of shape outputs.shape[:-1]; one-hot rows become numbers."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2:
        raise InputError(f"outputs of shape {_shape_text(outputs)} are no scores of classes")
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


def _numbers_of_two(labels: Array, outputs: Array) -> Array:
    numbers = _class_numbers(labels, outputs)
    if outputs.shape[-1] != 2:
        raise InputError(f"it is of yes and no, and the model tells {outputs.shape[-1]} classes apart")
    return numbers


def _same_shape(labels: Array, outputs: Array) -> Array:
    same = _squeeze_labels(labels, outputs)
    if same is None:
        raise InputError(
            f"labels of shape {_shape_text(labels)} do not fit outputs of shape {_shape_text(outputs)}: give class numbers "
            f"of shape {_shape_text(outputs[..., 0]) if outputs.ndim > 1 else 'n'}, or values of the outputs' shape"
        )
    return same


def _decisions(labels: Array, outputs: Array) -> Array:
    same = _same_shape(labels, outputs)
    if not _are_whole_numbers(labels) or same.max() > 1:
        raise InputError(f"labels for yes and no are 0 or 1, and these run from {same.min():g} to {same.max():g}")
    if same.max() < 0:
        raise InputError("every label is negative, which marks padding: nothing to score")
    return same.astype(np.int64)


def _ids(labels: Array, outputs: Array) -> Array:
    same = _same_shape(labels, outputs)
    if not (_are_whole_numbers(labels) and _are_whole_numbers(outputs)):
        raise InputError("it takes whole numbers, which the model gives itself")
    return same.astype(np.int64)


def _gains(labels: Array, outputs: Array) -> Array:
    same = _same_shape(labels, outputs)
    if same.ndim != 2 or same.shape[1] < 2 or same.min() < 0:
        raise InputError("it takes scores (n, items) and a relevance of at least 0 for each item")
    return same


def _boxes(labels: Array, outputs: Array) -> Array:
    if outputs.ndim != 3 or outputs.shape[-1] != 6 or labels.ndim != 3 or labels.shape[-1] != 5:
        raise InputError(
            f"labels of shape {_shape_text(labels)} and outputs of shape {_shape_text(outputs)} are no {Form.BOXES}"
        )
    if not (labels[..., 4] >= 0).any():
        raise InputError("every box of the labels has a negative class, which marks padding: nothing to find")
    return labels


def _words(labels: Array, outputs: Array) -> Array:
    scores = outputs.ndim == 3 and outputs.shape[-1] > 1
    if labels.ndim != 2 or not (scores or (outputs.ndim == 2 and outputs.dtype.name in IDS)):
        raise InputError(
            f"labels of shape {_shape_text(labels)} and outputs of shape {_shape_text(outputs)} ({outputs.dtype}) "
            f"are no {Form.WORDS}"
        )
    if not _are_whole_numbers(labels) or labels.max() <= 0:
        raise InputError("it takes whole numbers as labels; 0 and negative ones are padding, and there must be others")
    return labels.astype(np.int64)


_CONVERTERS: Mapping[Form, Callable[[Array, Array], Array]] = {
    Form.CLASSES: _class_numbers,
    Form.TWO_CLASSES: _numbers_of_two,
    Form.DECISIONS: _decisions,
    Form.IDS: _ids,
    Form.VALUES: _same_shape,
    Form.GAINS: _gains,
    Form.BOXES: _boxes,
    Form.WORDS: _words,
}


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
