"""What a sample that was not seen might do to a drop: the sample that `statistics.bootstrap_interval` adds to those seen.

Samples that show no difference do not say that there is none (the rule of three: in n samples without a failure up to 3 / n
may fail), and nothing of what was seen tells what an unseen failure costs. So that is said here, from the server model and
the metric, never from the artifact's better samples: a bound that shrank because one answer became better would turn the
order of artifacts round.

- A metric of answers between 0 and 1: the server model answers the sample rightly, the artifact all of it wrongly. It is a
  sample of the rarest class or one taken for it, whichever costs the server model's figure more.
- The same where a sample holds many answers (a grid, several labels) and the metric is no plain share of them: there "all of it
  wrongly" would be more wrong answers in one sample than right ones in hundreds. The artifact answers as another sample should
  be answered, or with the commonest answer everywhere; of some pairs of samples it is the one that costs the server model's
  figure most. Rare samples that are answered worse than that (a yes everywhere, in a grid of few) are not guarded against.
- An error, which has no upper limit (no interval without an assumption exists then: Bahadur and Savage 1956, Annals of
  Mathematical Statistics 27:1115): the server model is right, and the artifact is off by five times the root mean square of
  the server model's errors, or by twice what it lost in any sample, or, for log loss, as the server model's answers would be
  on average if all of them were wrong (of many answers: if they were another sample's), and for words by all of them. Rare
  errors beyond that are not guarded against.
- A metric of the user's own, of which no right answer is known: the artifact gives the server model's answer to another sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics import Form, Statistic, SumStatistic, TaskMetric
from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
Ends = Callable[[Array], tuple[Array, Array]]
# Of samples with many answers, by how many of them are not the commonest: one with few, a usual one, one with many. With 0.85
# instead of 0.95, false PASS of precision came to 6 % where a tenth of the samples has most of the answers.
RANKS = (0.1, 0.5, 0.95)
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


def drop_ends(
    task: TaskMetric, both: LabelledOutputs, of_both: tuple[Statistic, Statistic], groups: Array | None, *, logits: bool
) -> Ends:
    """What maps weights of the groups, and of an unseen sample, to drops: with that in the artifact's favour, and against it.

    A statistic that is no function of sums has the sample's cost added, which is the server model's and thus the same for all
    artifacts: a figure that is higher under all weights then never has the larger drop, whatever ties there are.
    """
    server, artifact = of_both
    sign = 1.0 if task.higher_is_better else -1.0
    if isinstance(server, SumStatistic) and isinstance(artifact, SumStatistic):
        one, two = _add_to_sums(task, both, (server, artifact), logits)
        if groups is not None:
            number = int(groups.max()) + 1
            extended = np.append(groups, [number, number + 1])
            one, two = one.group(extended), two.group(extended)

        def ends_of_sums(weights: Array) -> tuple[Array, Array]:
            seen, unseen, none = weights[:, :-1], weights[:, -1:], np.zeros((len(weights), 1))
            favour, against = (np.hstack([seen, *pair]) for pair in ((none, unseen), (unseen, none)))
            return sign * (one(favour) - two(favour)), sign * (one(against) - two(against))

        return ends_of_sums
    label, right, wrong = _choose_failure(task, both, logits)
    best, worst = (_extend(task, both.truth, both.server, label, answer, logits) for answer in (right, wrong))
    if groups is not None:
        extended = np.append(groups, int(groups.max()) + 1)
        server, artifact = server.group(groups), artifact.group(groups)
        best, worst = best.group(extended), worst.group(extended)

    def ends(weights: Array) -> tuple[Array, Array]:
        drop = sign * (server(weights[:, :-1]) - artifact(weights[:, :-1]))
        cost = sign * (best(weights) - worst(weights))
        return drop - cost, drop + cost

    return ends


def _add_to_sums(
    task: TaskMetric, both: LabelledOutputs, of_both: tuple[SumStatistic, SumStatistic], logits: bool
) -> tuple[Statistic, Statistic]:
    """Both models' statistics of n + 2 samples: those seen, one against the artifact and one in its favour."""
    if task.form is not Form.OWN and not (task.form in _WRONG_ANSWERS and task.share):
        return _add_errors(task, of_both, _loss_of_failure(task, both, of_both[0], logits))
    label, *pair = _choose_failure(task, both, logits)
    labels, answers = np.concatenate([label, label]), np.concatenate(pair)
    return (
        _extend(task, both.truth, both.server, labels, answers, logits),
        _extend(task, both.truth, both.artifact, labels, answers[::-1], logits),
    )


def _extend(task: TaskMetric, truth: Array, outputs: Array, labels: Array, answers: Array, logits: bool) -> Statistic:
    """The statistic of the samples with some more of them."""
    kind = outputs.dtype if outputs.dtype.kind == "f" else answers.dtype
    return task.statistic(
        np.concatenate([truth, labels]), np.concatenate([outputs, answers.astype(kind)]), logits=logits
    )


def _choose_failure(task: TaskMetric, both: LabelledOutputs, logits: bool) -> tuple[Array, Array, Array]:
    """The label, right answer and wrong answer, (1, ...) each, that the server model's figure tells apart most of some."""
    sign = 1 if task.higher_is_better else -1
    for samples in _failures(task, both):
        labels, *answers = samples
        counts = np.hstack([np.ones((len(labels), len(both.truth))), np.eye(len(labels))])
        best, worst = (_extend(task, both.truth, both.server, labels, item, logits)(counts) for item in answers)
        cost = np.nan_to_num(sign * (best - worst))
        most = int(np.argmax(cost))
        if cost[most] > 0:
            break
    label, right, wrong = (array[[most]] for array in samples)
    return label, right, wrong


def _failures(task: TaskMetric, both: LabelledOutputs) -> Iterator[tuple[Array, Array, Array]]:
    """Labels, right and wrong answers of some samples; further ones for where the first cost nothing."""
    if task.form in _WRONG_ANSWERS and task.share:
        if task.answers and not task.is_plain_share and both.truth[0].size > 1:
            yield _answer_as_others(task, both)
        labels, wrong = _WRONG_ANSWERS[task.form](both.truth, both.server)
        yield labels, _answer_rightly(task.form, labels, both.server), wrong
        return
    rows = np.unique(np.linspace(0, len(both.truth) - 1, OWN_TRIALS).astype(np.int64))
    others = (rows + max(1, len(both.truth) // 2)) % len(both.truth)
    yield both.truth[rows], both.server[rows], both.server[others]


def _loss_of_failure(task: TaskMetric, both: LabelledOutputs, server: SumStatistic, logits: bool) -> float:
    """What a sample costs on average that is all wrong, where that is known: of log loss and of words."""
    if task.form is Form.WORDS:
        return float(server.parts[:, -1].mean())
    if task.form is Form.VALUES:
        return 0.0
    wrong = np.argmin(both.server, axis=-1) if task.classes else 1 - both.truth
    if both.truth[0].size > 1:
        wrong = np.roll(both.truth, len(both.truth) // 2, axis=0)
        wrong = np.where(wrong < 0, both.truth, wrong)
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


def _answer_as_others(task: TaskMetric, both: LabelledOutputs) -> tuple[Array, Array, Array]:
    """Some samples with many answers, answered rightly, and as others of them or with the commonest answer everywhere.

    Of scores whose order counts they are the server model's own, which do not all stand at an end of it.
    """
    truth, outputs = both.truth, both.server
    numbers = truth if task.classes else np.sign(truth).astype(np.int64)
    counts = np.bincount(numbers[numbers >= 0])
    common = int(np.argmax(counts))
    rows = _pick_samples(task, numbers, counts, common)
    pairs = [(row, other) for row in rows for other in rows if row != other]
    labels = truth[[row for row, _ in pairs] + rows]
    others = [numbers[other] for _, other in pairs] + [np.full_like(numbers[0], common) for _ in rows]
    answers = np.stack([np.where(answer < 0, common, answer) for answer in others])
    sure = np.where(answers > 0, *_limits(outputs)[::-1])
    wrong = _class_scores(answers, outputs, avoided=labels) if task.classes else sure
    right = _answer_rightly(task.form, labels, outputs)
    if task.ranks and pairs:
        right[: len(pairs)], wrong[: len(pairs)] = (outputs[list(items)] for items in zip(*pairs, strict=True))
    return labels, right, wrong


def _pick_samples(task: TaskMetric, numbers: Array, counts: Array, common: int) -> list[int]:
    """Samples with few and with many answers that are not the commonest, and usual ones of those with what is rarest."""
    told = (numbers >= 0) & (numbers != common)
    sizes = told.reshape(len(numbers), -1).sum(axis=1)
    rare = int(np.argmin(np.where(counts > 0, counts, counts.max() + 1)))
    wanted = [(np.ones(len(numbers), bool), RANKS), ((numbers == rare).reshape(len(numbers), -1).any(axis=1), (0.5,))]
    if not task.classes and task.name.startswith(("macro_", "weighted_")):  # means over the labels of the last axis
        labels = told.reshape(len(numbers), -1, numbers.shape[-1]).any(axis=1)
        seen = labels.sum(axis=0)
        wanted.append((labels[:, np.argmin(np.where(seen > 0, seen, len(numbers) + 1))], (0.5,)))
    rows = []
    for having, ranks in wanted:
        order = np.flatnonzero(having)[np.argsort(sizes[having], kind="stable")]
        rows += [int(order[round(rank * (len(order) - 1))]) for rank in ranks if len(order)]
    return list(dict.fromkeys(rows))


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
