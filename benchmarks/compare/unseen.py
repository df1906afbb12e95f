"""What a sample that was not seen might do to a drop: the samples that `statistics.bootstrap_interval` adds to those seen.

Samples that show no difference do not say that there is none (the rule of three: in n samples without a failure up to 3 / n
may fail), and nothing of what was seen tells what an unseen failure costs. So that is said here, from the server model and
the metric, never from the artifact's better samples: a bound that shrank because one answer became better would turn the
order of artifacts round.

- A metric of answers between 0 and 1: the server model answers the sample rightly, the artifact all of it wrongly. It is a
  sample of the rarest class or one taken for it, whichever costs the server model's figure more.
- An error, which has no upper limit (no interval without an assumption exists then: Bahadur and Savage 1956, Annals of
  Mathematical Statistics 27:1115): the server model is right, and the artifact is off by five times the root mean square of
  the server model's errors, or by twice what it lost in any sample, or, for log loss, as the server model's answers would be
  on average if all of them were wrong, and for words by all of them. Rare errors beyond that are not guarded against.
- A metric of the user's own, of which no right answer is known: the artifact gives the server model's answer to another sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics import Form, Statistic, SumStatistic, TaskMetric

Array = np.ndarray[Any, Any]
OWN_TRIALS = 8  # samples with another's answer, of which the worst is taken
# In units of the server model's root mean square, and of the largest change seen: such that false PASS at the margin stayed
# below 3 % for errors with normal and heavy tails (`scripts/bench/intervals.py`); the largest error itself grows with n.
DEVIATIONS, CHANGES = 5.0, 2.0
SQUARES = ("rmse", "r2")  # their sums are of squares


@dataclass(frozen=True)
class LabelledOutputs:
    """Labels and both models' outputs of the same samples, (n, ...) each."""

    truth: Array
    server: Array
    artifact: Array


def add_unseen(
    task: TaskMetric, both: LabelledOutputs, of_both: tuple[Statistic, Statistic], *, logits: bool
) -> tuple[Statistic, Statistic]:
    """Both models' statistics of n + 2 samples: those seen, one against the artifact and one in its favour."""
    server, artifact = of_both
    if task.form in _WRONG_ANSWERS and task.share:
        truth, wrong = _WRONG_ANSWERS[task.form](both.truth, both.server)
        return _add_answers(task, both, truth, (_answer_rightly(task.form, truth, both.server), wrong), logits)
    if isinstance(server, SumStatistic) and isinstance(artifact, SumStatistic) and task.form is not Form.OWN:
        return _add_errors(task, (server, artifact), _loss_of_failure(task, both, server, logits))
    rows = np.unique(np.linspace(0, len(both.truth) - 1, OWN_TRIALS).astype(np.int64))
    others = (rows + max(1, len(both.truth) // 2)) % len(both.truth)
    return _add_answers(task, both, both.truth[rows], (both.server[rows], both.server[others]), logits)


def _add_answers(
    task: TaskMetric, both: LabelledOutputs, truth: Array, answers: tuple[Array, Array], logits: bool
) -> tuple[Statistic, Statistic]:
    """Of a few samples with right and wrong answers take that where the server model's figure tells them apart most."""

    def extend(labels: Array, outputs: Array, others: Array) -> Statistic:
        kind = outputs.dtype if outputs.dtype.kind == "f" else others.dtype
        return task.statistic(
            np.concatenate([both.truth, labels]), np.concatenate([outputs, others.astype(kind)]), logits=logits
        )

    counts = np.hstack([np.ones((len(truth), len(both.truth))), np.eye(len(truth))])
    right, wrong = (extend(truth, both.server, outputs)(counts) for outputs in answers)
    cost = np.nan_to_num(right - wrong)
    worst = int(np.argmax(cost) if task.higher_is_better else np.argmin(cost))
    pair = np.stack([outputs[worst] for outputs in answers])
    labels = truth[[worst, worst]]
    return extend(labels, both.server, pair), extend(labels, both.artifact, pair[::-1])


def _loss_of_failure(task: TaskMetric, both: LabelledOutputs, server: SumStatistic, logits: bool) -> float:
    """What a sample costs on average that is all wrong, where that is known: of log loss and of words."""
    if task.form is Form.WORDS:
        return float(server.parts[:, -1].mean())
    if task.form is Form.VALUES:
        return 0.0
    wrong = np.argmin(both.server, axis=-1) if task.classes else 1 - both.truth
    failed = task.statistic(np.where(both.truth < 0, both.truth, wrong), both.server, logits=logits)
    return float(failed.scored[:, 0].mean())


def _add_errors(
    task: TaskMetric, of_both: tuple[SumStatistic, SumStatistic], failure: float
) -> tuple[Statistic, Statistic]:
    """The first columns of the parts are what is lost, the last one what it is divided by."""
    server, artifact = of_both
    columns = (server.parts.shape[1] - 1) // 3 if task.name == "r2" else 1
    losses, others = (item.parts[:, :columns].mean(axis=1) for item in (server, artifact))
    typical = DEVIATIONS**2 * losses.mean() if task.name in SQUARES else DEVIATIONS * math.sqrt((losses**2).mean())
    lost, gained = (max(typical, failure, CHANGES * float((sign * (others - losses)).max())) for sign in (1, -1))

    def extend(statistic: SumStatistic, extra: tuple[float, float]) -> SumStatistic:
        rows = np.zeros((2, statistic.parts.shape[1]))
        rows[:, :columns], rows[:, -1] = np.array(extra)[:, None], statistic.parts[:, -1].mean()
        return SumStatistic(np.concatenate([statistic.parts, rows]), statistic.combine)

    return extend(server, (0.0, gained)), extend(artifact, (lost, 0.0))


def _limits(scores: Array) -> tuple[float, float]:
    """A low and a high score, on both sides of the threshold of probabilities and of logits."""
    return min(float(scores.min()), 0.0), max(float(scores.max()), 1.0)


def _class_scores(numbers: Array, scores: Array, avoided: Array | None = None) -> Array:
    """Scores that answer with these classes (m, ...), and least of all with those to be avoided."""
    low, high = _limits(scores)
    result = np.full((*numbers.shape, scores.shape[-1]), low if avoided is None else (low + high) / 2)
    if avoided is not None:
        np.put_along_axis(result, np.maximum(avoided, 0)[..., None], low, axis=-1)
    np.put_along_axis(result, np.maximum(numbers, 0)[..., None], high, axis=-1)
    return result


def _answer_rightly(form: Form, truth: Array, outputs: Array) -> Array:
    """The outputs that labels (m, ...) ask for, as values like `outputs`."""
    if form in (Form.CLASSES, Form.TWO_CLASSES):
        return _class_scores(truth, outputs)
    if form is Form.DECISIONS:
        return np.where(truth > 0, *_limits(outputs)[::-1])
    if form is Form.BOXES:
        return _boxes_of_labels(truth, outputs)
    return np.asarray(truth)


def _boxes_of_labels(truth: Array, outputs: Array) -> Array:
    """Boxes (m, D, 6) with the corners and classes of labels (m, G, 5), as sure as any; the rest of no class."""
    boxes = np.zeros((len(truth), *outputs.shape[1:]))
    boxes[..., 5] = -1
    count = min(truth.shape[1], outputs.shape[1])
    boxes[:, :count, :4], boxes[:, :count, 5] = truth[:, :count, :4], truth[:, :count, 4]
    boxes[:, :count, 4] = _limits(outputs[..., 4])[1]
    return boxes


def _sample_with_most(truth: Array, number: float) -> Array:
    """The labels (...) of the sample in which a number stands most often."""
    return np.asarray(truth[np.argmax((truth.reshape(len(truth), -1) == number).sum(axis=1))])


def _miss_classes(truth: Array, outputs: Array) -> tuple[Array, Array]:
    """A sample of the rarest class that is taken for the commonest, and the other way round."""
    counts = np.bincount(truth[truth >= 0], minlength=outputs.shape[-1])
    rare, common = int(np.argmin(np.where(counts > 0, counts, counts.max() + 1))), int(np.argmax(counts))
    labels = np.stack([_sample_with_most(truth, rare), _sample_with_most(truth, common)])
    taken_for = np.array([common, rare]).reshape(2, *[1] * (truth.ndim - 1))
    answers = np.where(labels == taken_for, (taken_for + 1) % outputs.shape[-1], taken_for)
    return labels, _class_scores(answers, outputs, avoided=labels)


def _miss_decisions(truth: Array, outputs: Array) -> tuple[Array, Array]:
    """Samples with the most 'yes', the most 'no', and a 'yes' where it is rarest, each all turned round."""
    positives = (truth > 0).sum(axis=0).ravel()
    rarest = int(np.argmin(np.where(positives > 0, positives, len(truth) + 1)))
    labels = np.stack(
        [_sample_with_most(truth, 1), _sample_with_most(truth, 0), truth[np.argmax(truth.reshape(len(truth), -1)[:, rarest])]]
    )  # fmt: skip
    for row, answer in ((0, 1), (1, 0)):
        if not (labels[row] == answer).any():  # none was seen, which does not say that there are none
            labels[row] = answer
    return labels, np.where(labels > 0, *_limits(outputs))


def _miss_boxes(truth: Array, outputs: Array) -> tuple[Array, Array]:
    """A picture with boxes of the rarest class, none of which is found."""
    classes, counts = np.unique(truth[..., 4][truth[..., 4] >= 0], return_counts=True)
    rare = classes[np.argmin(counts)] if len(classes) else 0
    row = int(np.argmax((truth[..., 4] == rare).sum(axis=1)))
    return truth[[row]], _boxes_of_labels(np.full((1, 1, 5), -1.0), outputs)


def _miss_ids(truth: Array, outputs: Array) -> tuple[Array, Array]:
    return truth[:1], truth[:1] + 1


def _miss_gains(truth: Array, outputs: Array) -> tuple[Array, Array]:
    """Items in the reverse order of what they are worth."""
    labels = truth[[int(np.argmax(truth.max(axis=1)))]]
    return labels, -labels.astype(np.float64)


_WRONG_ANSWERS: Mapping[Form, Callable[[Array, Array], tuple[Array, Array]]] = {
    Form.CLASSES: _miss_classes,
    Form.TWO_CLASSES: _miss_classes,
    Form.DECISIONS: _miss_decisions,
    Form.BOXES: _miss_boxes,
    Form.IDS: _miss_ids,
    Form.GAINS: _miss_gains,
}
