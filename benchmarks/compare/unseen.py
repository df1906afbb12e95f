"""What a sample that was not seen might do to a drop: the samples that `statistics.bootstrap_interval` adds to those seen.

Samples that show no difference do not say that there is none (the rule of three: in n samples without a failure up to 3 / n
may fail), and nothing of what was seen tells what an unseen failure costs. So that is said here, from the server model and
the metric, never from the artifact's better samples: a bound that shrank because one answer became better would turn the
order of artifacts round.

- A metric of answers between 0 and 1: the server model answers the sample rightly, the artifact all of it wrongly. It is a
  sample of the rarest class or one taken for it, whichever costs the server model's figure more.
- An error, which has no upper limit (no interval without an assumption exists then: Bahadur and Savage 1956, Annals of
  Mathematical Statistics 27:1115): the server model is right, and the artifact errs as far as both models together did where
  each was at its worst. Errors beyond that, in less than about one sample of those seen, are not guarded against.
- A metric of the user's own, of which no right answer is known: the artifact gives the server model's answer to another sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics import Form, TaskMetric

Array = np.ndarray[Any, Any]
OWN_TRIALS = 8  # samples with another's answer, of which the worst is taken


@dataclass(frozen=True)
class LabelledOutputs:
    """Labels and both models' outputs of the same samples, (n, ...) each."""

    truth: Array
    server: Array
    artifact: Array

    def with_samples(self, others: LabelledOutputs) -> LabelledOutputs:
        """These samples, then others."""
        pairs = ((self.truth, others.truth), (self.server, others.server), (self.artifact, others.artifact))
        return LabelledOutputs(*map(np.concatenate, pairs))


def imagine_samples(task: TaskMetric, both: LabelledOutputs, *, logits: bool) -> tuple[LabelledOutputs, Array]:
    """Samples that were not seen, and of each whether it speaks against the artifact (0) or in its favour (1)."""
    if task.form in _WRONG_ANSWERS and task.share:
        truth, wrong = _WRONG_ANSWERS[task.form](both.truth, both.server)
        return _worst_of(task, both, truth, (_answer_rightly(task.form, truth, both.server), wrong), logits)
    if task.form is Form.OWN:
        rows = np.unique(np.linspace(0, len(both.truth) - 1, OWN_TRIALS).astype(np.int64))
        others = (rows + max(1, len(both.truth) // 2)) % len(both.truth)
        return _worst_of(task, both, both.truth[rows], (both.server[rows], both.server[others]), logits)
    return _imagine_errors(task, both, logits)


def _worst_of(
    task: TaskMetric, both: LabelledOutputs, truth: Array, answers: tuple[Array, Array], logits: bool
) -> tuple[LabelledOutputs, Array]:
    """Of a few samples with right and wrong answers that where the server model's figure tells them apart most."""
    right, wrong = answers
    labels = np.concatenate([both.truth, truth])
    counts = np.hstack([np.ones((len(truth), len(both.truth))), np.eye(len(truth))])
    figures = [
        task.statistic(labels, np.concatenate([both.server, outputs]), logits=logits)(counts) for outputs in answers
    ]
    cost = np.nan_to_num(figures[0] - figures[1])
    worst = int(np.argmax(cost) if task.higher_is_better else np.argmin(cost))
    pair = np.stack([right[worst], wrong[worst]])
    return LabelledOutputs(truth[[worst, worst]], pair, pair[::-1]), np.arange(2)


def _imagine_errors(task: TaskMetric, both: LabelledOutputs, logits: bool) -> tuple[LabelledOutputs, Array]:
    """The largest errors of both models against the artifact, that of the server model in its favour."""
    server, artifact = (
        int(np.argmax(_losses(task, both.truth, outputs, logits))) for outputs in (both.server, both.artifact)
    )
    truth = both.truth[[server, artifact, server]]
    wrong = np.stack([both.server[server], both.artifact[artifact], both.server[server]])
    if task.form is Form.VALUES:  # the error is what counts: that label stays the same for all artifacts
        wrong, truth = truth[2] + (wrong - truth), truth[[2, 2, 2]]
    right = _answer_rightly(task.form, truth, both.server)
    against = np.array([True, True, False]).reshape(3, *[1] * (right.ndim - 1))
    return LabelledOutputs(truth, np.where(against, right, wrong), np.where(against, wrong, right)), np.array([0, 0, 1])


def _losses(task: TaskMetric, truth: Array, outputs: Array, logits: bool) -> Array:
    """What each sample adds to the sum that the metric is made of, (n,)."""
    if task.name == "r2":
        squares = (outputs.astype(np.float64) - truth) ** 2
        return np.asarray(squares.reshape(len(truth), -1).mean(axis=1))
    return task.statistic(truth, outputs, logits=logits).scored[:, 0]


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
    if form is Form.WORDS:
        words = np.zeros((len(truth), outputs.shape[1]), np.int64)
        length = min(truth.shape[1], outputs.shape[1])
        words[:, :length] = np.maximum(truth[:, :length], 0)
        return _class_scores(np.minimum(words, outputs.shape[2] - 1), outputs) if outputs.ndim == 3 else words
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
