"""`wer` and `cer`: the insertions, deletions and substitutions that turn an answer into its label, over the labels' length.

Both count whole numbers, which stand for words in the one and for characters in the other. 0 and negative numbers are padding,
in labels as in answers (Keras masks 0, and it is the blank of `keras.losses.CTC`); what they leave is moved together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.decisions import predicted_classes
from edgeship.benchmarks.compare.metrics.metric import Form, SumStatistic, TaskMetric, ratio_of_sums

Array = np.ndarray[Any, Any]


def _without_padding(numbers: Array) -> tuple[Array, Array]:
    """Rows (n, L) with padding moved to their ends, and their lengths."""
    padding = numbers <= 0
    order = np.argsort(padding, axis=1, kind="stable")
    return np.take_along_axis(numbers, order, axis=1), (~padding).sum(axis=1)


def edit_distances(answers: Array, labels: Array) -> tuple[Array, Array]:
    """The edit distance (Levenshtein 1966) of each row of answers (n, T) to that of labels (n, L), and the labels' lengths.

    All rows at once, one row of the table of Wagner and Fischer (1974) after the other.
    """
    (ours, length), (theirs, wanted) = _without_padding(answers), _without_padding(labels)
    places = np.arange(theirs.shape[1] + 1)
    row = np.broadcast_to(places, (len(theirs), len(places)))
    result = np.where(length == 0, wanted, 0)
    for step in range(ours.shape[1]):
        replaced = row[:, :-1] + (theirs != ours[:, step, None])
        best = np.concatenate([row[:, :1] + 1, np.minimum(replaced, row[:, 1:] + 1)], axis=1)
        row = np.minimum.accumulate(best - places, axis=1) + places  # insertions one after the other
        result = np.where(length == step + 1, np.take_along_axis(row, wanted[:, None], axis=1)[:, 0], result)
    return result, wanted


def _prepare(labels: Array, outputs: Array, _: bool) -> SumStatistic:
    answers = predicted_classes(outputs) if outputs.ndim == 3 else outputs
    return SumStatistic(np.stack(edit_distances(answers, labels), axis=1).astype(np.float64), ratio_of_sums)


METRICS = tuple(TaskMetric(name, False, True, {Form.WORDS: _prepare}) for name in ("wer", "cer"))
