"""What to expect of a model, from samples that it has not seen: how often it errs, on what, and whether more than baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Literal

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.train.card import ClassProportion, Proportion, wilson_proportion
from edgeship.train.dataset import Array
from edgeship.train.own_data.samples import Target

FAILURES = 10
SIGNIFICANT = 0.05
LEAST_OF_GROUP = 20
MOST_GROUPS = 50
THRESHOLDS = (0.01, *(step / 20 for step in range(1, 20)), 0.99)
Comparison = Literal["better", "no different", "worse"]


@dataclass(frozen=True)
class Estimate:
    """A mean over samples with its 95 % interval (Student's t)."""

    value: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True)
class FoldsEstimate:
    """The accuracy, or the root mean square error, as the mean over so many `folds` of all `repeats`, with its 95 % interval."""

    value: float
    low: float
    high: float
    folds: int
    repeats: int


@dataclass(frozen=True)
class ClassErrors:
    """Of a thousand samples: how many are wrongly taken for this class, and how many of this class are taken for others."""

    label: str
    false_alarms: float
    misses: float


@dataclass(frozen=True)
class ThresholdPoint:
    """Of two classes: the errors of a thousand samples where the second is the answer above this probability.

    `precision` is the share of these answers that are right (None where there are none), `recall` that of the second class's
    samples that are found (None where there are none).
    """

    threshold: float
    false_positives: float
    false_negatives: float
    precision: float | None = None
    recall: float | None = None


@dataclass(frozen=True)
class Failure:
    """A sample of which the answer is wrong: where it is and what is in it; `certainty` is the answer's probability.

    `row` is its number among the samples as they were read, from 0 on.
    """

    sample: str
    truth: str
    answer: str
    content: str
    certainty: float | None = None
    row: int | None = None


@dataclass(frozen=True)
class GroupErrors:
    """The groups' accuracies (largest groups first), and how probable gaps like theirs are by chance (chi-square test)."""

    by: str
    groups: tuple[ClassProportion, ...]
    p_value: float | None = None


@dataclass(frozen=True)
class Baseline:
    """What a baseline reached on the same samples: accuracy, or the root mean square error. `network` is how that one compares.

    "better" or "worse" is beyond chance: `p_value` is below 5 % in the test of paired answers (see `compare_answers`).
    """

    name: str
    network: Comparison
    p_value: float
    accuracy: float | None = None
    rmse: float | None = None


@dataclass(frozen=True)
class Results:
    """Of classes accuracy and what is wrong, of values the mean absolute error, the root mean square error and R squared.

    Of repeated k-fold these are of the first repetition, in which each sample is tested once; `repeated` and the baselines are
    of all of them (`repeats`).
    """

    baselines: tuple[Baseline, ...]
    failures: tuple[Failure, ...]
    accuracy: Proportion | None = None
    per_class: tuple[ClassProportion, ...] = ()
    errors_of_thousand: float | None = None
    class_errors: tuple[ClassErrors, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    threshold: float | None = None
    threshold_curve: tuple[ThresholdPoint, ...] = ()
    groups: GroupErrors | None = None
    mae: Estimate | None = None
    rmse: float | None = None
    r2: float | None = None
    repeated: FoldsEstimate | None = None

    @property
    def worse_than(self) -> tuple[str, ...]:
        """The baselines that are better than the network beyond chance, and the constant one where it is not worse."""
        return tuple(
            item.name
            for item in self.baselines
            if item.network == "worse" or (item.name == "constant" and item.network != "better")
        )


@dataclass(frozen=True)
class HeldOut:
    """What was said of the samples `rows` (int64): `scores` (n, classes) or (n,), the `baselines`' by name; `truth` (n,)."""

    rows: Array
    truth: Array
    scores: Array
    baselines: Mapping[str, Array]


def describe_results(
    target: Target,
    tested: HeldOut,
    describe_row: Callable[[int], str],
    show_row: Callable[[int], str],
    groups: tuple[str, Array] | None,
) -> Results:
    """The results on the tested samples; `groups`: the name of a column and its texts of these samples."""
    answers = target.answers(tested.scores)
    baselines = tuple(
        _judge_baseline(name, target, tested.truth, answers, target.answers(scores))
        for name, scores in tested.baselines.items()
    )
    failures = _find_failures(target, tested, answers, describe_row, show_row)
    if not target.is_class:
        errors = answers.astype(np.float64) - tested.truth
        variance = float(tested.truth.astype(np.float64).var())
        return Results(
            baselines,
            failures,
            mae=_estimate(np.abs(errors)),
            rmse=float(np.sqrt(np.square(errors).mean())),
            r2=1 - float(np.square(errors).mean()) / variance if variance else None,
        )
    hits = answers == tested.truth
    count = len(target.labels)
    confusion = np.bincount(tested.truth * count + answers, minlength=count * count).reshape(count, count)
    return Results(
        baselines,
        failures,
        accuracy=wilson_proportion(hits),
        per_class=_class_proportions(hits, tested.truth, target.labels),
        errors_of_thousand=round(1000 * float(1 - hits.mean()), 1),
        class_errors=_class_errors(confusion, target.labels),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        threshold=0.5 if target.is_binary else None,
        threshold_curve=_threshold_curve(tested.scores, tested.truth) if target.is_binary else (),
        groups=_judge_groups(hits, *groups) if groups else None,
    )


def compare_answers(errors: Array, other: Array) -> tuple[Comparison, float]:
    """How the errors of a model compare with those of another on the same samples, float of shape (n,); with the p-value.

    Of hits and misses (0 and 1) McNemar's exact test of the samples that one of the two gets right (two-sided), else Student's
    paired t-test.
    """
    from scipy.stats import binomtest, ttest_1samp

    differences = errors - other
    if not differences.any():
        return "no different", 1.0
    if np.isin(errors, (0, 1)).all() and np.isin(other, (0, 1)).all():
        p_value = float(binomtest(int((differences > 0).sum()), int((differences != 0).sum())).pvalue)
    else:
        p_value = float(ttest_1samp(differences, 0).pvalue) if np.ptp(differences) else 0.0
    verdict: Comparison = "better" if differences.mean() < 0 else "worse"
    return (verdict if p_value < SIGNIFICANT else "no different"), p_value


def _judge_baseline(name: str, target: Target, truth: Array, answers: Array, other: Array) -> Baseline:
    if target.is_class:
        network, p_value = compare_answers((answers != truth).astype(np.float64), (other != truth).astype(np.float64))
        return Baseline(name, network, p_value, accuracy=float((other == truth).mean()))
    mine, theirs = (np.square(values.astype(np.float64) - truth) for values in (answers, other))
    network, p_value = compare_answers(mine, theirs)
    return Baseline(name, network, p_value, rmse=float(np.sqrt(theirs.mean())))


def _estimate(values: Array) -> Estimate:
    from scipy.stats import t

    mean, count = float(values.mean()), len(values)
    half = float(t.ppf(0.975, count - 1)) * float(values.std(ddof=1)) / count**0.5 if count > 1 else float("inf")
    return Estimate(mean, mean - half, mean + half, count)


def _class_proportions(hits: Array, truth: Array, labels: tuple[str, ...]) -> tuple[ClassProportion, ...]:
    present = [number for number in range(len(labels)) if (truth == number).any()]
    return tuple(
        ClassProportion(**asdict(wilson_proportion(hits[truth == number])), label=labels[number]) for number in present
    )


def _class_errors(confusion: Array, labels: tuple[str, ...]) -> tuple[ClassErrors, ...]:
    wrong = confusion - np.diag(np.diag(confusion))
    alarms, misses = (1000 * wrong.sum(axis=axis) / confusion.sum() for axis in (0, 1))
    return tuple(
        ClassErrors(label, round(float(alarm), 1), round(float(miss), 1))
        for label, alarm, miss in zip(labels, alarms, misses, strict=True)
    )


def _threshold_curve(scores: Array, truth: Array) -> tuple[ThresholdPoint, ...]:
    points = []
    for threshold in THRESHOLDS:
        second = scores[:, 1] > threshold
        false, missed, right = (
            int(item.sum()) for item in (second & (truth == 0), ~second & (truth == 1), second & (truth == 1))
        )
        points.append(
            ThresholdPoint(
                threshold,
                round(1000 * false / len(truth), 1),
                round(1000 * missed / len(truth), 1),
                round(right / (right + false), 4) if right + false else None,
                round(right / (right + missed), 4) if right + missed else None,
            )
        )
    return tuple(points)


def _find_failures(
    target: Target,
    tested: HeldOut,
    answers: Array,
    describe_row: Callable[[int], str],
    show_row: Callable[[int], str],
) -> tuple[Failure, ...]:
    """The wrong answers that were surest, or the values that are farthest off."""
    if target.is_class:
        certainty = tested.scores[np.arange(len(answers)), answers]
        worst = np.argsort(np.where(answers == tested.truth, -1.0, certainty))[::-1]
        chosen = [place for place in worst[:FAILURES].tolist() if answers[place] != tested.truth[place]]
    else:
        certainty = None
        chosen = np.argsort(np.abs(answers - tested.truth))[::-1][:FAILURES].tolist()

    def name(value: Array) -> str:
        return target.labels[int(value)] if target.is_class else f"{float(value):.6g}"

    return tuple(
        Failure(
            describe_row(int(tested.rows[place])),
            name(tested.truth[place]),
            name(answers[place]),
            show_row(int(tested.rows[place])),
            None if certainty is None else round(float(certainty[place]), 4),
            int(tested.rows[place]),
        )
        for place in chosen
    )


def _judge_groups(hits: Array, by: str, groups: Array) -> GroupErrors:
    """The accuracy of each group of at least LEAST_OF_GROUP samples; gaps between them by chance, unless nothing is wrong."""
    from scipy.stats import chi2_contingency

    names, counts = np.unique(groups, return_counts=True)
    largest = [names[place] for place in np.argsort(-counts, kind="stable") if counts[place] >= LEAST_OF_GROUP]
    shares = tuple(
        ClassProportion(**asdict(wilson_proportion(hits[groups == name])), label=str(name))
        for name in largest[:MOST_GROUPS]
    )
    table = np.array([[item.correct, item.samples - item.correct] for item in shares])
    fit = len(shares) > 1 and bool((table.sum(axis=0) > 0).all())
    return GroupErrors(by, shares, float(chi2_contingency(table).pvalue) if fit else None)
