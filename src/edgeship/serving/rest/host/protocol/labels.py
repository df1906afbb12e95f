"""The classes that scores stand for, by the bundle's contract."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np

from edgeship.data import Array
from edgeship.deploy.contract.contract import ContractOutput

MOST = 1000  # samples whose labels stand in one answer


def label_answers(output: ContractOutput, scores: Array) -> str | None:
    """The answer to each sample as a JSON list, since parameters of the protocol hold no lists; None where there are no classes.

    Of softmax or unknown scores the label of the best; of one score (n, 1) with two labels the second from the threshold on; of
    independent scores (sigmoid) all labels whose score reaches the threshold, 0.5 where the contract has none.
    """
    labels = output.labels
    if not labels or scores.ndim != 2 or len(scores) > MOST or scores.dtype.kind != "f":
        return None
    answers: list[Any]
    classes = scores.shape[1]
    threshold = 0.5 if output.threshold is None else output.threshold
    if classes == 1 and len(labels) == 2:
        if output.activation != "sigmoid" and output.threshold is None:
            return None
        answers = [labels[int(score >= threshold)] for score in scores[:, 0]]
    elif classes != len(labels):
        return None
    elif output.activation == "sigmoid":
        answers = [[labels[at] for at in np.flatnonzero(row >= threshold)] for row in scores]
    else:
        answers = [labels[at] for at in np.argmax(scores, axis=1)]
    if len(answers) == 1 and isinstance(answers[0], str):
        return f"[{_encode(answers[0])}]"
    return json.dumps(answers, ensure_ascii=False)


@cache
def _encode(label: str) -> str:
    return json.dumps(label, ensure_ascii=False)
