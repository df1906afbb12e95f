"""The server model against the best answer that is the same whatever the input: one that is no better has learned nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import accuracy
from edgeship.benchmarks.compare.metrics import are_probabilities, sigmoid, softmax, threshold_of
from edgeship.benchmarks.compare.metrics.metric import OF_RANKS
from edgeship.bundle.figures.comparisons import ConstantAnswer, OutputAccuracy
from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
OF_YES = ("f1", "precision")  # of one answer of two: it may be best to give it always
VALUES: Mapping[str, Callable[..., Array]] = {"mae": np.median, "rmse": np.mean, "r2": np.mean}
EXACT = "exact_match"
# Every other answer of boxes, words and items would be made up, as would one for a function that is not known here; and to
# say yes always finds all.
NONE = ("map", "wer", "cer", "ndcg", "recall")
CHUNK = 1 << 22  # labels that are looked at at once


@dataclass(frozen=True)
class _Constant:
    """An answer for one sample, (...); `label` is its class, where it is one."""

    answer: str
    output: Array
    label: int | None = None


def compare_with_constants(
    labels: Mapping[str, Array], outputs: Mapping[str, Array], metrics: Mapping[str, str]
) -> dict[str, ConstantAnswer]:
    """The comparison for each labelled output, of which `metrics` names the metric; an output without one is left out.

    `labels` are a data file's `y` and `y_<output>` arrays. Constants are chosen on the same samples, which favours them. Class
    scores answer with the classes' frequencies, decisions with the more frequent one, values with their median (MAE) or mean,
    at each place of an output.
    """
    truths = accuracy.match_labels(labels, tuple(outputs))
    found = {name: _compare_output(truths[name], outputs[name], metric) for name, metric in metrics.items()}
    return {name: answer for name, answer in found.items() if answer is not None}


def _compare_output(labels: Array, outputs: Array, metric: str) -> ConstantAnswer | None:
    if ":" in metric or metric.partition("@")[0] in NONE:
        return None
    scores, constants = _find_constants(labels, outputs, metric)
    pairs = [
        (constant, accuracy.compare(labels, np.broadcast_to(constant.output, scores.shape), scores, metric))
        for constant in constants
    ]
    figures = [_describe(constant, compared) for constant, compared in pairs]
    return min((item for item in figures if item), key=lambda item: item.gain or 0.0, default=None)


def _describe(constant: _Constant, compared: OutputAccuracy) -> ConstantAnswer | None:
    """The server model took the artifact's place in the comparison; a drop is then what it is worse by."""
    if compared.drop is None or compared.low is None or compared.high is None:
        return None
    return ConstantAnswer(
        metric=compared.metric,
        share=compared.share,
        higher_is_better=compared.higher_is_better,
        n=compared.n,
        answer=constant.answer,
        label=constant.label,
        value=compared.server,
        server=compared.value,
        gain=-compared.drop,
        low=-compared.high,
        high=-compared.low,
    )


def _find_constants(labels: Array, outputs: Array, metric: str) -> tuple[Array, Iterable[_Constant]]:
    """The server model's scores, as probabilities where they are logits, and the answers that may be best."""
    if metric in VALUES:
        truth = labels.reshape(outputs.shape)
        value = VALUES[metric](truth[:: 1 + truth.size // CHUNK].astype(np.float64), axis=0)
        which = "median" if metric == "mae" else "mean"
        return outputs, [_Constant(f"the {which}{f' {value.item():.4g}' if value.size == 1 else ''}", value)]
    if metric == EXACT:
        return outputs, [_Constant("the most frequent", _most_frequent(labels.reshape(outputs.shape)))]
    numbers = _class_numbers(labels, outputs)
    if numbers is not None:
        scores = outputs if are_probabilities(outputs) or metric.endswith(OF_RANKS) else softmax(outputs)
        return scores, _class_constants(numbers, outputs.shape[-1], metric)
    truth = labels.reshape(outputs.shape)
    scores = outputs if threshold_of(outputs) else sigmoid(outputs)
    return scores, _decision_constants(truth, metric)


def _takes_scores(metric: str) -> bool:
    return metric.endswith(OF_RANKS) or metric == "log_loss"


def _class_constants(numbers: Array, classes: int, metric: str) -> list[_Constant]:
    """The classes' frequencies at each place as scores; for the score of one class of two also that class."""
    counts = _count_classes(numbers, classes)
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    one = numbers.ndim == 1
    if _takes_scores(metric):
        constants = [_Constant("the same scores", shares)]
    elif one:
        constants = [_Constant(f"class {shares.argmax()}", shares, int(shares.argmax()))]
    else:
        constants = [_Constant("the most frequent class of each place", shares)]
    if metric in OF_YES and classes == 2:
        constants.append(_Constant("class 1", np.broadcast_to([0.0, 1.0], shares.shape), 1 if one else None))
    return constants


def _count_classes(numbers: Array, classes: int) -> Array:
    """How often each class stands at each place, (n, ...) -> (..., C); negative numbers are padding."""
    places = numbers[0].size
    counts = np.zeros(places * classes, np.int64)
    rows = max(1, CHUNK // max(places, 1))
    for start in range(0, len(numbers), rows):
        part = numbers[start : start + rows].reshape(-1, places)
        index = np.arange(places) * classes + part
        counts += np.bincount(index[part >= 0], minlength=len(counts))
    return counts.reshape(*numbers.shape[1:], classes)


def _decision_constants(truth: Array, metric: str) -> list[_Constant]:
    counted = truth >= 0
    share = np.where(counted, truth, 0).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    if _takes_scores(metric):
        return [_Constant("the same score", share)]
    answer = "the more frequent decision of each place" if share.size > 1 else "yes" if share > 0.5 else "no"
    always = [_Constant("yes", np.ones_like(share))] if metric.rpartition("_")[2] in OF_YES else []
    return [] if "recall" in metric else [_Constant(answer, (share > 0.5).astype(np.float64)), *always]


def _class_numbers(labels: Array, outputs: Array) -> Array | None:
    """Class numbers (n, ...) for class scores (n, ..., C), also of one-hot rows; None where the outputs are something else."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2:
        return None
    if labels.shape == outputs.shape:
        one_hot = bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=-1) == 1).all())
        return np.asarray(labels.argmax(axis=-1)) if one_hot else None
    same = labels.size == outputs[..., 0].size
    return labels.reshape(outputs.shape[:-1]).astype(np.int64) if same else None


def _most_frequent(values: Array) -> Array:
    """The most frequent value at each place, (n, ...) -> (...)."""
    flat = values.reshape(len(values), -1)
    best = [
        max(zip(*np.unique(column, return_counts=True), strict=True), key=lambda pair: pair[1])[0] for column in flat.T
    ]
    return np.array(best, values.dtype).reshape(values.shape[1:])
