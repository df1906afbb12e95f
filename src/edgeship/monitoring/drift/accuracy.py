"""The accuracy that is expected of answers without labels, and a bound on how much of it was lost.

A cell of the joint table (predicted class, confidence) was right in some share of the evaluation data; the field's counts in
these cells tell a share of the whole (as NannyML's confidence-based estimate, on counts). It sees what makes the model less
sure, or move to cells where it errs; it cannot see that the same inputs have other labels now.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.layout import answers_of
from edgeship.monitoring.profile.profile import Profile
from edgeship.monitoring.reports.report import ClassCounts, Report

Array = np.ndarray[Any, Any]
PRIOR = 2.0  # samples by which a cell leans to what all classes have in its bin of confidence
LEVEL = 0.01  # of an alarm that is wrong, one-sided
POWER = 0.8  # with which the reports that are asked for would decide
LEAST = 25  # installations on either side, for a bound


@dataclass(frozen=True)
class Calibration:
    """For an output, by artifact, how right each cell was on the evaluation data; no `output`: nothing tells it."""

    output: str
    rates: dict[str, Array]
    lab: dict[str, float]

    def count_right(self, report: Report) -> float:
        """How many of a report's inferences are right by estimate; 0 where nothing tells it."""
        found = report.outputs.get(self.output)
        if not isinstance(found, ClassCounts):
            return 0.0
        rates = self.rates[report.artifact]
        return float(sum(rates[cell] * count for cell, count in zip(found.joint[::2], found.joint[1::2], strict=True)))


def calibrate(profile: Profile) -> Calibration:
    """The calibration by the first output with labelled classes."""
    for output in profile.outputs:
        rates, lab = {}, {}
        for artifact in profile.artifacts:
            counts = answers_of(profile, artifact).get(output.name)
            if counts is None or not counts.labelled or not output.classes:
                break
            bins = len(output.confidence) + 1
            total, right = (_to_table(pairs, output.classes, bins) for pairs in (counts.joint, counts.right))
            share = (right.sum(axis=0) + 1) / (total.sum(axis=0) + 2)
            rates[artifact] = ((right + PRIOR * share) / (total + PRIOR)).ravel()
            lab[artifact] = float(right.sum() / max(total.sum(), 1))
        else:
            if rates:
                return Calibration(output.name, rates, lab)
    return Calibration("", {}, {})


def _to_table(pairs: tuple[int, ...], classes: int, bins: int) -> Array:
    table = np.zeros(classes * bins)
    table[list(pairs[::2])] = pairs[1::2]
    return table.reshape(classes, bins)


@dataclass(frozen=True)
class Rate:
    """A share over installations with its variance, by how they differ; `installs`: how many there are."""

    value: float
    variance: float
    installs: int


def find_rate(tops: Array, bottoms: Array) -> Rate | None:
    """sum(tops) / sum(bottoms) over installations (N,); None where there are none.

    The variance is that of a ratio by linearization, with installations as the clusters (Cochran 1977, Sampling Techniques,
    section 6.5): sum((top - ratio * bottom)^2) N / (N - 1) / sum(bottoms)^2.
    """
    there = bottoms > 0
    tops, bottoms = tops[there], bottoms[there]
    count = len(tops)
    if count < 2:
        return None
    value = float(tops.sum() / bottoms.sum())
    variance = float(((tops - value * bottoms) ** 2).sum() * count / (count - 1) / bottoms.sum() ** 2)
    return Rate(value, variance, count)


@dataclass(frozen=True)
class Drop:
    """How much a share fell from `before` to `now`, and what it surely (99 %, one-sided each) fell at least and at most.

    `p`: of a drop by the tolerance or less. `more_installs`: how many more this week would likely decide whether it is beyond
    the tolerance; None where none would, as those of the baseline are too few, and 0 where it is decided.
    """

    before: float
    now: float
    low: float
    high: float
    p: float
    installs: int
    more_installs: int | None


def find_drop(before: Rate | None, now: Rate | None, tolerance: float) -> Drop | None:
    """The drop of a share; None with fewer than 25 installations on either side. Student's t, with Welch's degrees of freedom."""
    if before is None or now is None or min(before.installs, now.installs) < LEAST:
        return None
    from scipy.special import stdtr, stdtrit

    freedom = _find_freedom(before, now)
    drop, error = before.value - now.value, math.sqrt(before.variance + now.variance)
    quantile = float(stdtrit(freedom, 1 - LEVEL))
    low, high = drop - quantile * error, drop + quantile * error
    p = float(stdtr(freedom, -(drop - tolerance) / error)) if error else float(drop <= tolerance)
    more = 0 if low > tolerance or high < tolerance else _more_installs(before, now, tolerance)
    return Drop(before.value, now.value, low, high, p, now.installs, more)


def _find_freedom(before: Rate, now: Rate) -> float:
    """Welch (1947), by Satterthwaite's formula: between the lesser number of installations less 1 and both less 2."""
    least = float(min(before.installs, now.installs) - 1)
    parts = before.variance**2 / (before.installs - 1) + now.variance**2 / (now.installs - 1)
    return max(least, (before.variance + now.variance) ** 2 / parts) if parts else least


def _more_installs(before: Rate, now: Rate, tolerance: float) -> int | None:
    """The least number that would do, for the drop that was seen or for none: one next to the tolerance takes any."""
    seen = before.value - now.value
    needed = (_installs_for(before, now, distance) for distance in (abs(seen - tolerance), tolerance) if distance > 0)
    return min((count - now.installs for count in needed if count is not None and count > now.installs), default=None)


def _installs_for(before: Rate, now: Rate, distance: float) -> int | None:
    from scipy.special import ndtri

    room = (distance / float(ndtri(1 - LEVEL) + ndtri(POWER))) ** 2 - before.variance
    return math.ceil(now.variance * now.installs / room) if room > 0 else None
