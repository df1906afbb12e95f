"""Metrics of the order of scores: ROC AUC, average precision, NDCG. Names and values are scikit-learn's.

A plain name is of yes or no, with all values of all samples in one order; `macro_` and `weighted_` are means over the classes
(each against the rest) or over the labels of the last axis, without those that have no positive (or no negative) sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.metric import (
    Form,
    Prepare,
    SumStatistic,
    TaskMetric,
    in_chunks,
    per_sample,
    ratio,
    ratio_of_sums,
)
from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
Area = Callable[[Array, Array], Array]
FEW = 100_000  # scores of which each resample is counted one by one; of more, sums by group and step of the order are kept
STEPS = 1000  # of one order; where there are more, neighbouring ones count as ties
SUMS = 1 << 24  # of all labels, at most


def _steps(sums: Array) -> Array:
    """What each step adds to running sums (k, b)."""
    return np.diff(sums, axis=0, prepend=0)


def _roc_area(yes: Array, no: Array) -> Array:
    """The share of pairs of a yes and a no in right order, ties as half, of counts down to each step of falling score (k, b)."""
    above = yes - _steps(yes) / 2
    return ratio(np.einsum("kb,kb->b", _steps(no), above), yes[-1] * no[-1])


def _precision_area(yes: Array, no: Array) -> Array:
    """The sum over steps of precision times gain of recall (scikit-learn's average_precision_score)."""
    return ratio(np.einsum("kb,kb->b", _steps(yes), np.nan_to_num(ratio(yes, yes + no))), yes[-1])


@dataclass(frozen=True)
class _Ranking:
    """Scores in falling order, those of a yes and those of a no: whose sample each is, and how many there are after each step.

    A step is of equal scores. `sums` (samples, k): of each sample, how many yes and no it has down to each step.
    """

    owners: tuple[Array, Array]
    ends: tuple[Array, Array]
    sums: tuple[Array, Array] | None = None

    @property
    def width(self) -> int:
        """How many values a resample takes."""
        return self.sums[0].shape[1] if self.sums else sum(map(len, self.owners))

    @classmethod
    def of_scores(cls, scores: Array, yes: Array, owner: Array) -> _Ranking:
        order = np.argsort(-scores.astype(np.float64), kind="stable")
        scores, yes, owner = scores[order], yes[order], owner[order]
        starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
        hits = np.add.reduceat(yes.astype(np.int64), starts)
        # Steps without a yes between two that have one are one step: neither area tells them apart.
        starts = starts[np.concatenate([[True], (hits[1:] > 0) | (hits[:-1] > 0)])]
        ends = np.append(starts[1:], len(yes))
        positive = np.cumsum(yes, dtype=np.int64)[ends - 1]
        return cls((owner[yes], owner[~yes]), (positive, ends - positive))

    def group(self, groups: Array, room: int) -> _Ranking:
        """The same of groups of samples, in at most `room` steps where there are many scores."""
        owners = groups[self.owners[0]], groups[self.owners[1]]
        if sum(map(len, owners)) <= FEW:
            return replace(self, owners=owners)
        number, steps = int(groups.max()) + 1, len(self.ends[0])
        fewer = min(room, steps)
        last = (np.arange(fewer) + 1) * steps // fewer - 1
        ends = self.ends[0][last], self.ends[1][last]
        blocks = (
            np.searchsorted(end, np.arange(len(owner)), side="right") for end, owner in zip(ends, owners, strict=True)
        )
        counts = (
            np.bincount(owner * fewer + block, minlength=number * fewer).reshape(number, fewer)
            for owner, block in zip(owners, blocks, strict=True)
        )
        sums = tuple(np.cumsum(item, axis=1, dtype=np.float64) for item in counts)
        return _Ranking(owners, ends, sums)  # type: ignore[arg-type]

    def count(self, counts: Array) -> tuple[Array, Array]:
        """How many yes and no there are down to each step, (k, b) each, in resamples (samples, b): whole rows add up fast."""
        if self.sums:
            return self.sums[0].T @ counts, self.sums[1].T @ counts
        yes, no = (_running_sums(counts[owner], end) for owner, end in zip(self.owners, self.ends, strict=True))
        return yes, no


def _running_sums(values: Array, ends: Array) -> Array:
    """Sums of the first `ends` (k,) rows of values (m, b), which are overwritten."""
    np.cumsum(values, axis=0, out=values)
    return np.where(ends[:, None] > 0, values[ends - 1], 0.0)


@dataclass(frozen=True)
class RankStatistic:
    """The area of one ranking, or the mean of several."""

    rankings: tuple[_Ranking, ...]
    area: Area
    weighted: bool
    scored: Array

    def __call__(self, counts: Array) -> Array:
        """See `Statistic`."""
        return in_chunks(self._figure, counts, max((item.width for item in self.rankings), default=0))

    def _figure(self, counts: Array) -> Array:
        if not self.rankings:  # all labels are of one kind
            return np.full(len(counts), np.nan)
        areas, sizes, columns = [], [], np.ascontiguousarray(counts.T)
        for ranking in self.rankings:
            yes, no = ranking.count(columns)
            areas.append(self.area(yes, no))
            sizes.append(yes[-1] if self.weighted else np.ones(len(counts)))
        values, weights = (np.array(item).reshape(-1, len(counts)) for item in (areas, sizes))
        known = np.isfinite(values)
        return ratio((np.where(known, values, 0) * weights).sum(axis=0), (weights * known).sum(axis=0))

    def group(self, groups: Array) -> RankStatistic:
        """See `Statistic`."""
        room = min(STEPS, max(64, SUMS // ((int(groups.max()) + 1) * max(len(self.rankings), 1))))
        return replace(self, rankings=tuple(item.group(groups, room) for item in self.rankings))


def _rankings(labels: Array, scores: Array) -> Iterator[_Ranking]:
    """One for each column of labels and scores (n, m, L); what has negative labels counts nowhere."""
    owner = np.broadcast_to(np.arange(len(labels))[:, None], labels.shape[:2])
    for column in range(labels.shape[2]):
        counted = labels[..., column] >= 0
        yes = labels[..., column][counted] > 0
        if 0 < yes.sum() < len(yes):
            yield _Ranking.of_scores(scores[..., column][counted], yes, owner[counted])


def _statistic(labels: Array, outputs: Array, area: Area, *, weighted: bool = False) -> RankStatistic:
    return RankStatistic(tuple(_rankings(labels, outputs)), area, weighted, outputs)


def _pooled(area: Area) -> Prepare:
    return lambda labels, outputs, _: _statistic(per_sample(labels)[..., None], per_sample(outputs)[..., None], area)


def _of_second_class(area: Area) -> Prepare:
    return lambda labels, outputs, _: _statistic(
        per_sample(labels)[..., None], per_sample(outputs[..., 1])[..., None], area
    )


def _by_label(area: Area, *, weighted: bool) -> Prepare:
    def prepare(labels: Array, outputs: Array, _: bool) -> RankStatistic:
        kinds = labels.shape[-1] if labels.ndim > 1 else 1
        shape = (len(labels), -1, kinds)
        return _statistic(labels.reshape(shape), outputs.reshape(shape), area, weighted=weighted)

    return prepare


def _by_class(area: Area, *, weighted: bool) -> Prepare:
    def prepare(labels: Array, outputs: Array, _: bool) -> RankStatistic:
        classes = outputs.shape[-1]
        numbers = per_sample(labels)[..., None]
        against_rest = np.where(numbers < 0, -1, numbers == np.arange(classes))
        return _statistic(against_rest, outputs.reshape(len(outputs), -1, classes), area, weighted=weighted)

    return prepare


def _named(name: str, area: Area) -> tuple[TaskMetric, ...]:
    plain = {Form.DECISIONS: _pooled(area), Form.TWO_CLASSES: _of_second_class(area)}
    return (
        TaskMetric(name, True, True, plain),
        *(
            TaskMetric(
                f"{word}_{name}",
                True,
                True,
                {Form.CLASSES: _by_class(area, weighted=weighted), Form.DECISIONS: _by_label(area, weighted=weighted)},
            )
            for word, weighted in (("macro", False), ("weighted", True))
        ),
    )


def ndcg(k: int | None = None) -> TaskMetric:
    """Normalized discounted cumulative gain of the first k items, ties averaged (scikit-learn's ndcg_score)."""

    def prepare(labels: Array, outputs: Array, _: bool) -> SumStatistic:
        gains, scores = labels.astype(np.float64), outputs.astype(np.float64)
        discount = 1 / np.log2(np.arange(gains.shape[1]) + 2)
        discount[k or gains.shape[1] :] = 0
        best = np.sort(gains, axis=1)[:, ::-1] @ discount
        reached = np.where(best > 0, _tied_gains(gains, scores, discount) / np.where(best > 0, best, 1), 0.0)
        return SumStatistic(np.stack([reached, np.ones(len(reached))], axis=1), ratio_of_sums)

    return TaskMetric(f"ndcg@{k}" if k else "ndcg", True, True, {Form.GAINS: prepare})


def _tied_gains(gains: Array, scores: Array, discount: Array) -> Array:
    """Discounted gains (n,) in the order of the scores; items of equal score share their discounts."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    fresh = np.concatenate([np.zeros((len(ranked), 1), np.int64), ranked[:, 1:] != ranked[:, :-1]], axis=1)
    place = np.cumsum(fresh, axis=1) + np.arange(len(ranked))[:, None] * ranked.shape[1]
    sums = np.bincount(place.ravel(), np.broadcast_to(discount, ranked.shape).ravel(), ranked.size)
    shared = sums / np.maximum(np.bincount(place.ravel(), minlength=ranked.size), 1)
    return np.asarray((np.take_along_axis(gains, order, axis=1) * shared[place]).sum(axis=1))


METRICS = (*_named("roc_auc", _roc_area), *_named("average_precision", _precision_area), ndcg())
