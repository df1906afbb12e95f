"""Accuracy of an artifact beside the server model's, on the same labelled samples (measuring.md 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import drop_intervals, statistics
from edgeship.benchmarks.compare.metrics import (
    Form,
    TaskMetric,
    choose_metric,
    decisions,
    predicted_classes,
)
from edgeship.benchmarks.compare.unseen import LabelledOutputs
from edgeship.bundle.figures.comparisons import (
    AccuracyReport,
    ClassAccuracy,
    FlippedSample,
    GroupAccuracy,
    OutputAccuracy,
    SureFlips,
)
from edgeship.bundle.metric import LARGEST
from edgeship.errors import CheckError, InputError
from edgeship.settings.sections import MetricChoice

Array = np.ndarray[Any, Any]
FLIPS_KEPT = 200
BINS = 15
SURE = 0.5


def measure(
    labels: Mapping[str, Array],
    server: Mapping[str, Array],
    artifact: Mapping[str, Array],
    metrics: MetricChoice | None = None,
    groups: Array | None = None,
    *,
    intervals: bool = True,
) -> AccuracyReport:
    """Compare every labelled output; `labels` are a data file's `y` and `y_<output>` arrays, `groups` (n,) parts of the samples.

    Without `intervals` there are the figures only; orders of many scores take a thousand resamples for them.
    Raises InputError where labels are missing or do not fit, CheckError where outputs differ.
    """
    truths, choice = match_labels(labels, tuple(server)), metrics or MetricChoice()
    missing = [name for name in truths if name not in artifact]
    if missing:
        raise CheckError(f"the artifact has no output '{missing[0]}' (it has: {', '.join(artifact)})")
    outputs = {
        name: compare(truth, server[name], artifact[name], choice.of_output(name), groups, intervals=intervals)
        for name, truth in truths.items()
    }
    return AccuracyReport.of_outputs(outputs, max(outputs, key=lambda name: _relative_drop(outputs[name])))


def settle_metrics(labels: Mapping[str, Array], outputs: Mapping[str, Array], metrics: MetricChoice) -> MetricChoice:
    """The metric of each labelled output by name, as all samples decide it: a few of them might decide otherwise."""
    truths = match_labels(labels, tuple(outputs))
    names = {
        name: choose_metric(truth, outputs[name], metrics.of_output(name))[0].name for name, truth in truths.items()
    }
    return replace(metrics, by_output={**metrics.by_output, **names})


def match_labels(labels: Mapping[str, Array], outputs: tuple[str, ...]) -> dict[str, Array]:
    """Labels by output name. `y` belongs to the only output; several outputs take `y_<output>` each.

    Raises InputError where there are none, or where it is not clear whose they are.
    """
    if not labels:
        raise InputError("the evaluation data has no labels: add an array y, or y_<output> for each output")
    if set(labels) == {"y"}:
        if len(outputs) > 1:
            names = ", ".join(f"y_{name}" for name in outputs)
            raise InputError(f"the model has {len(outputs)} outputs: call the labels {names} instead of y")
        return {outputs[0]: labels["y"]}
    strange = [name for name in labels if name.removeprefix("y_") not in outputs]
    if strange:
        raise InputError(f"labels '{strange[0]}' belong to no output (outputs: {', '.join(outputs)})")
    return {name.removeprefix("y_"): array for name, array in labels.items()}


def _relative_drop(comparison: OutputAccuracy) -> float:
    if comparison.drop is None:
        return math.inf
    return comparison.drop / (abs(comparison.server or 0) or 1.0)


def compare(
    labels: Array,
    server: Array,
    artifact: Array,
    metric: str | None = None,
    groups: Array | None = None,
    *,
    intervals: bool = True,
) -> OutputAccuracy:
    """One output of both models on the same samples, arrays (n, ...); `intervals`: see `measure`.

    Outputs with NaN or infinity have no figures but the reason: they are no pass.
    Raises InputError where the labels do not fit, CheckError where the shapes differ or an output is no numbers.
    """
    if server.shape != artifact.shape:
        raise CheckError(f"the artifact's output has shape {artifact.shape}, the server model's {server.shape}")
    task, truth, server = choose_metric(labels, server, metric)
    for output in (server, artifact):
        if output.dtype.kind not in "biuf":
            raise CheckError(f"an output is {output.dtype}, and not real numbers")
    nothing = OutputAccuracy(task.name, task.share, task.higher_is_better, len(truth), why=task.why)
    if reason := _not_finite("server model", server) or _not_finite("artifact", artifact):
        return replace(nothing, reason=reason)
    with np.errstate(over="ignore", invalid="ignore"):
        both = _PairedOutputs(task, truth, (server, artifact))
        figures = _compare_figures(nothing, both, intervals=intervals)
        if not intervals:
            return figures
        if groups is not None:
            figures = replace(figures, groups=_compare_groups(nothing, both, groups))
    return _compare_answers(figures, both) if task.answers and figures.value is not None else figures


def _not_finite(whose: str, outputs: Array) -> str:
    bad = int((~np.isfinite(outputs)).sum()) if outputs.dtype.kind == "f" else 0
    return f"{bad} of {outputs.size} output values of the {whose} are NaN or infinite" if bad else ""


class _PairedOutputs:
    """Both models' outputs with the truth; whether they are logits, the server model's say for both."""

    def __init__(self, task: TaskMetric, truth: Array, scores: tuple[Array, Array], logits: bool | None = None) -> None:
        self.task, self.truth, self.scores = task, truth, scores
        self.logits = _are_logits(task, scores[0]) if logits is None else logits
        server, artifact = (task.statistic(truth, item, logits=self.logits) for item in scores)
        self.statistics = server, artifact

    def select(self, rows: Array) -> _PairedOutputs:
        """The same of some of the samples."""
        scores = (self.scores[0][rows], self.scores[1][rows])
        return _PairedOutputs(self.task, self.truth[rows], scores, self.logits)

    @property
    def decisions(self) -> tuple[Array, Array]:
        """What both models decide for each sample: class numbers, or 0/1, in the shape of the truth."""
        if self.task.classes:
            return predicted_classes(self.scores[0]), predicted_classes(self.scores[1])
        threshold = 0.0 if self.logits else 0.5
        return tuple((item > threshold).astype(np.int64) for item in self.scores)  # type: ignore[return-value]


def _are_logits(task: TaskMetric, scores: Array) -> bool:
    if task.classes:
        return not decisions.are_probabilities(scores.astype(np.float64))
    return task.form is Form.DECISIONS and decisions.threshold_of(scores) == 0.0


def _compare_figures(nothing: OutputAccuracy, both: _PairedOutputs, *, intervals: bool = True) -> OutputAccuracy:
    """`nothing` with the metric of both models, its drop and interval, or why there is none."""
    task, everything = both.task, np.ones((1, len(both.truth)))
    server, artifact = (float(item(everything)[0]) for item in both.statistics)
    if not all(abs(figure) <= LARGEST for figure in (server, artifact)):
        reason = f"no {task.name} can be told: no label counts, all are of one kind, or the errors are too large"
        return replace(nothing, reason=reason)
    sign = 1.0 if task.higher_is_better else -1.0
    if not intervals:
        return replace(nothing, value=artifact, server=server, drop=sign * (server - artifact))
    samples = LabelledOutputs(both.truth, *both.scores)
    result = drop_intervals.interval_of_drop(task, samples, both.statistics, logits=both.logits)
    interval = result.interval
    ends = (interval.low, interval.high, interval.at_least, interval.spread or 0.0) if interval else ()
    if not all(abs(end) <= LARGEST for end in ends):
        return replace(nothing, reason=f"no {task.name} can be told: the errors are too large")
    return replace(
        nothing,
        value=artifact,
        server=server,
        drop=sign * (server - artifact),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        spread=interval.spread if interval else None,
        at_least=interval.at_least if interval else None,
        method=result.method,
        why=f"interval by {result.method}" if task.form is Form.OWN and "resamples" in result.method else nothing.why,
        disagreement=result.disagreement,
        reason=result.reason,
    )


def _compare_groups(nothing: OutputAccuracy, both: _PairedOutputs, groups: Array) -> tuple[GroupAccuracy, ...]:
    """The figures of each group of samples, by `groups` (n,)."""
    rows = []
    for value in np.unique(groups):
        chosen = np.flatnonzero(groups == value)
        figures = _compare_figures(replace(nothing, n=len(chosen)), both.select(chosen))
        kept_fields = {item.name: getattr(figures, item.name) for item in fields(GroupAccuracy) if item.name != "group"}
        rows.append(GroupAccuracy(group=str(value), **kept_fields))
    return tuple(rows)


def _compare_answers(figures: OutputAccuracy, both: _PairedOutputs) -> OutputAccuracy:
    """`figures` with what only answers have: classes, flips, calibration."""
    flips_total, flips = _find_flips(both)
    errors = tuple(
        expected_calibration_error(
            _answer_confidence(scores, both)[both.truth >= 0], (decision == both.truth)[both.truth >= 0]
        )
        for decision, scores in zip(both.decisions, both.scores, strict=True)
    )
    name = "softmax" if both.task.classes else "sigmoid"
    note = f"the outputs are logits: {name} was applied for confidences and calibration error"
    return replace(
        figures,
        flips_total=flips_total,
        flips=flips,
        per_class=_compare_classes(both),
        sure_flips=_count_sure_flips(both),
        ece_server=errors[0],
        ece=errors[1],
        notes=(note,) if both.logits else (),
    )


def _compare_classes(both: _PairedOutputs) -> tuple[ClassAccuracy, ...]:
    """Per true class both models' recall, the drop with its interval, and p (McNemar) with Holm's correction.

    Several answers to one sample are not independent: then samples are counted that gained or lost, and the interval is of as
    many samples as have the class.
    """
    truth = both.truth.ravel()
    server, artifact = (decision.ravel() == truth for decision in both.decisions)
    classes = np.unique(truth[truth >= 0])
    order = np.minimum(np.searchsorted(classes, truth), len(classes) - 1)
    counts = [
        np.bincount(order[(truth >= 0) & counted_rows], minlength=len(classes)).tolist()
        for counted_rows in (truth >= 0, server, artifact, artifact & ~server, server & ~artifact)
    ]
    by_sample = [(n, gains, losses) for n, gains, losses in zip(counts[0], *counts[3:], strict=True)]
    if len(truth) > len(both.truth):
        change = (artifact.astype(np.int8) - server).reshape(len(both.truth), -1)
        by_sample = [_count_samples(change, both.truth.reshape(change.shape) == label) for label in classes]
    p_values = [statistics.mcnemar_p_value(gains, losses) for _, gains, losses in by_sample]
    adjusted = statistics.holm_p_values(p_values)
    rows = []
    for number, (label, n, right, still_right, gains, losses) in enumerate(zip(classes.tolist(), *counts, strict=True)):
        weight = by_sample[number][0] / n
        interval = statistics.paired_difference(losses * weight, gains * weight, by_sample[number][0])
        rows.append(
            ClassAccuracy(
                label=int(label),
                n=n,
                server=right / n,
                artifact=still_right / n,
                drop=(right - still_right) / n,
                low=interval.low,
                high=interval.high,
                p=p_values[number],
                p_holm=adjusted[number],
                significant=adjusted[number] < 0.05,
            )
        )
    return tuple(rows)


def _count_samples(change: Array, of_class: Array) -> tuple[int, int, int]:
    """Samples (rows) with the class, and those in which it was gained or lost on balance."""
    balance = np.where(of_class, change, 0).sum(axis=1)
    return int(of_class.any(axis=1).sum()), int((balance > 0).sum()), int((balance < 0).sum())


def _find_flips(both: _PairedOutputs) -> tuple[int, tuple[FlippedSample, ...]]:
    """How many samples the two models answer differently, and the first of those with one answer per sample."""
    server, artifact = (decision.reshape(len(decision), -1) for decision in both.decisions)
    differ = np.flatnonzero((server != artifact).any(axis=1))
    if server.shape[1] > 1:
        return len(differ), ()
    confidences = [_answer_confidence(scores, both).reshape(len(server), -1)[:, 0] for scores in both.scores]
    truth = both.truth.reshape(len(both.truth), -1)
    flips = (
        FlippedSample(
            index=int(index),
            label=int(truth[index, 0]),
            server=int(server[index, 0]),
            artifact=int(artifact[index, 0]),
            server_confidence=float(confidences[0][index]),
            artifact_confidence=float(confidences[1][index]),
        )
        for index in differ[:FLIPS_KEPT]
    )
    return len(differ), tuple(flips)


def _count_sure_flips(both: _PairedOutputs) -> SureFlips | None:
    """How many answers are others where the server model's leads by over 0.5 in probability.

    To turn such an answer an output has to be off by over 0.25. Noise of quantization does that next to never, another
    model of the same accuracy (a stale one, wrong batch norm) often. None where the server model is never sure.
    """
    if both.task.classes:
        best = np.partition(_class_probabilities(both.scores[0], both), -2, axis=-1)[..., -2:]
        lead = best[..., 1] - best[..., 0]
    else:
        lead = 2 * _answer_confidence(both.scores[0], both) - 1
    sure = (both.truth >= 0) & (lead > SURE)
    n, flips = int(sure.sum()), int((both.decisions[0] != both.decisions[1])[sure].sum())
    if not n:
        return None
    # Several answers to one sample are not independent: samples are counted, each with its share of answers.
    independent = int(sure.reshape(len(sure), -1).any(axis=1).sum())
    interval = statistics.exact_interval(flips / n * independent, independent)
    return SureFlips(n, flips, flips / n, interval.low, interval.high, interval.at_least)


def to_probabilities(scores: Array) -> tuple[Array, bool]:
    """Class scores (n, ..., C) as probabilities, and whether softmax had to be applied because they were logits."""
    values = scores.astype(np.float64)
    return (values, False) if decisions.are_probabilities(values) else (decisions.softmax(values), True)


def _class_probabilities(scores: Array, both: _PairedOutputs) -> Array:
    values = scores.astype(np.float64)
    return decisions.softmax(values) if both.logits else np.clip(values, 0, 1)


def _answer_confidence(scores: Array, both: _PairedOutputs) -> Array:
    """The probability that each sample's answer is given, (n, ...)."""
    if both.task.classes:
        return np.asarray(_class_probabilities(scores, both).max(axis=-1))
    values = scores.astype(np.float64).reshape(both.truth.shape)
    yes = decisions.sigmoid(values) if both.logits else np.clip(values, 0, 1)
    return np.asarray(np.maximum(yes, 1 - yes))


def expected_calibration_error(confidence: Array, right: Array) -> float:
    """Expected calibration error, sum of n_b/n * |accuracy - confidence| in 15 equal-width bins (arXiv 1706.04599)."""
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right.astype(np.float64), minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
