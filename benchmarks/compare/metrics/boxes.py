"""`map`, the mean average precision of boxes by COCO's definition: equal to pycocotools' first figure.

Means over intersections over union of 0.50, 0.55, ... 0.95 and over the classes that occur, of the precision at 101 recalls;
at most 100 boxes of a class in a picture count (https://cocodataset.org/#detection-eval). Arrays are padded: a box whose class
is negative counts nowhere. Corners are in any unit that is the same in labels and outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.metric import CHUNK, CountStatistic, Form, TaskMetric, in_chunks, ratio
from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
BOXES = 100  # of a class in a picture


@dataclass(frozen=True)
class _ClassBoxes:
    """A class's boxes in falling order of score: whose sample each is, at which overlaps it is right (m, 10); boxes to find."""

    owner: Array
    right: Array
    wanted: Array

    def average_precision(self, counts: Array) -> Array:
        """The mean over overlaps, (b, n) -> (b,)."""
        wanted, weights = counts @ self.wanted, counts[:, self.owner]
        answered = np.cumsum(weights, axis=1)
        total = np.zeros(len(counts))
        for column in self.right.T:
            hits = np.flatnonzero(column)
            found = np.cumsum(weights[:, hits], axis=1)
            below = answered[:, hits]
            precision = np.divide(found, below, out=np.zeros_like(found), where=below > 0)
            recall = ratio(found, wanted[:, None])
            total += [_sum_at_recalls(*rows) for rows in zip(recall, precision, strict=True)] if len(hits) else 0.0
        return np.where(wanted > 0, total / len(RECALLS) / len(OVERLAPS), np.nan)


def _sum_at_recalls(recall: Array, precision: Array) -> float:
    """The best precision (h,) from each of `RECALLS` on, where it is reached at all, added up; recall (h,) only rises."""
    first = np.searchsorted(recall, RECALLS)  # NaN is above all of them
    first = first[first < len(recall)]
    if not len(first):
        return 0.0
    # Of recalls that are reached at once the last takes the maximum, and the others from there.
    best = np.maximum.reduceat(precision, first)
    return float(np.maximum.accumulate(best[::-1]).sum())


def _overlaps(boxes: Array, truth: Array) -> Array:
    """Intersection over union of corners (n, D, 4) and (n, G, 4): (n, D, G)."""
    first, second = boxes[:, :, None], truth[:, None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(np.maximum(item[..., 2:] - item[..., :2], 0), axis=-1) for item in (first, second)]
    return np.nan_to_num(ratio(shared, areas[0] + areas[1] - shared))


def _match(overlaps: Array) -> Array:
    """Which boxes are right at which overlaps, (n, D, 10), of boxes in falling order of score.

    In turn each takes, of the wanted boxes that are still free, the one that it covers best, and of equals the last, as
    pycocotools does. `overlaps` (n, D, G) is negative where classes differ.
    """
    samples, boxes, wanted = overlaps.shape
    right = np.zeros((samples, boxes, len(OVERLAPS)), bool)
    if not wanted:
        return right
    free = np.ones((samples, len(OVERLAPS), wanted), bool)
    for box in np.flatnonzero((overlaps >= OVERLAPS[0]).any(axis=(0, 2))):
        open_overlaps = np.where(free, overlaps[:, None, box], -1.0)
        best = wanted - 1 - np.argmax(open_overlaps[..., ::-1], axis=-1)
        right[:, box] = np.take_along_axis(open_overlaps, best[..., None], axis=-1)[..., 0] >= OVERLAPS
        sample, level = np.nonzero(right[:, box])
        free[sample, level, best[sample, level]] = False
    return right


def _rank_in_class(classes: Array) -> Array:
    """The place of each box among those of its class in its picture, (n, D), of boxes in falling order."""
    rank = np.zeros(classes.shape, np.int64)
    for number in np.unique(classes):
        same = classes == number
        rank[same] = (np.cumsum(same, axis=1) - 1)[same]
    return rank


def _right_boxes(boxes: Array, answered: Array, truth: Array, wanted: Array) -> Array:
    """`_match` of boxes (n, D, 6) of the classes `answered` (n, D), negative ones never; so many pictures at once as fit."""
    parts = []
    step = max(1, CHUNK // max(boxes.shape[1] * truth.shape[1], 1))
    for start in range(0, len(boxes), step):
        rows = slice(start, start + step)
        possible = (answered[rows, :, None] == wanted[rows, None]) & (wanted[rows] >= 0)[:, None]
        parts.append(_match(np.where(possible, _overlaps(boxes[rows, :, :4], truth[rows, :, :4]), -1.0)))
    return np.concatenate(parts)


def _prepare(labels: Array, outputs: Array, _: bool) -> CountStatistic:
    truth, boxes = labels.astype(np.float64), outputs.astype(np.float64)
    order = np.argsort(-boxes[..., 4], axis=1, kind="stable")
    boxes = np.take_along_axis(boxes, order[..., None], axis=1)
    answered, wanted = np.round(boxes[..., 5]), np.round(truth[..., 4])
    answered = np.where(_rank_in_class(answered) < BOXES, answered, -1)
    right = _right_boxes(boxes, answered, truth, wanted)
    classes = []
    for number in np.unique(wanted[wanted >= 0]):
        sample, place = np.nonzero(answered == number)
        falling = np.argsort(-boxes[sample, place, 4], kind="stable")
        hits = right[sample, place][falling]
        length = int(np.flatnonzero(hits.any(axis=1)).max(initial=-1)) + 1  # what follows the last hit lowers nothing
        classes.append(
            _ClassBoxes(sample[falling][:length], hits[:length], (wanted == number).sum(axis=1).astype(np.float64))
        )
    width = max((len(item.owner) for item in classes), default=0)

    def figure(counts: Array) -> Array:
        values = np.array([item.average_precision(counts) for item in classes]).reshape(-1, len(counts))
        known = np.isfinite(values)
        return ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0))

    return CountStatistic(lambda counts: in_chunks(figure, counts, width), outputs)


METRICS = (TaskMetric("map", True, True, {Form.BOXES: _prepare}),)
