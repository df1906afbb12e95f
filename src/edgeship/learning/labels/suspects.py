"""Labels that are likely wrong: the model is about as sure of another class as it is elsewhere of that one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Suspect:
    """A sample whose label is likely wrong: what was given, what the model says, and the probability of either."""

    sample: str
    given: str
    likely: str
    chance_given: float
    chance_likely: float


def find_suspects(samples: Sequence[str], labels: Array, chances: Array, classes: Sequence[str]) -> tuple[Suspect, ...]:
    """The likely label errors, the least probable label first. `labels` (n,) class numbers, `chances` (n, classes).

    Confident learning (Northcutt, Jiang and Chuang 2021, J. of Artificial Intelligence Research 70:1373): a class is claimed
    for a sample where its probability reaches the mean that it has in samples with that label; suspect is who has another label
    than the likeliest class so claimed.
    """
    every = np.arange(chances.shape[1])
    means = np.array(
        [chances[labels == number, number].mean() if (labels == number).any() else np.inf for number in every]
    )
    claims = np.where(chances >= means, chances, -np.inf)
    likely = claims.argmax(axis=1)
    own = np.arange(len(labels))
    rows = np.flatnonzero(np.isfinite(claims.max(axis=1)) & (chances[own, likely] > chances[own, labels]))
    rows = rows[np.argsort(chances[rows, labels[rows]], kind="stable")]
    return tuple(
        Suspect(
            samples[row],
            classes[int(labels[row])],
            classes[int(likely[row])],
            float(chances[row, labels[row]]),
            float(chances[row, likely[row]]),
        )
        for row in rows.tolist()
    )
