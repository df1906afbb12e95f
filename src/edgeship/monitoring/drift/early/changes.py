"""Where the mean of a stream of numbers changed, by ADWIN as river has it (Bifet and Gavalda 2007)."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.errors import MissingDependencyError
from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
DELTA = 0.002  # river's own: the confidence with which two means differ
EXTRA = "pip install 'edgeship[monitor]'"


@dataclass(frozen=True)
class MeanChange:
    """A change that was seen at the value of index `place`: the mean `before`, and `now` of the last `count` values."""

    place: int
    count: int
    before: float
    now: float


def find_changes(values: Array) -> tuple[MeanChange, ...]:
    """The changes of the mean of values (N,) between 0 and 1, in their order; after one ADWIN begins anew.

    ADWIN tells that there is one, and drops old values in blocks until the rest agree, among which many may be older than the
    change: when it was is the split of all values since the last one by least squares. Raises MissingDependencyError without
    river.
    """
    try:
        from river.drift import ADWIN
    except ImportError as error:
        raise MissingDependencyError(f"early warnings need river ({error}): {EXTRA}") from error
    detector, start = ADWIN(delta=DELTA), 0
    found = []
    for place, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            since = values[start : place + 1]
            split = _find_split(since)
            found.append(
                MeanChange(place, len(since) - split, float(since[:split].mean()), float(since[split:].mean()))
            )
            start = place + 1
    return tuple(found)


def _find_split(values: Array) -> int:
    """How many of the first values (N,), from 1 to N - 1, differ most in their mean from the rest: by least squares."""
    count = len(values)
    first = np.arange(1, count)
    distance = np.cumsum(values)[:-1] - first * values.mean()
    return 1 + int((distance**2 / (first * (count - first))).argmax())
