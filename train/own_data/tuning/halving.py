"""Successive halving: a configuration is trained on only where it is among the best third of those that came as far.

Asynchronous (Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2): it is compared with
those that came as far before it began, so that no trial waits for another, and the same trials in the same order are stopped
alike on one machine or many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeship.train.own_data.search_results import Trial

FACTOR = 3
RUNGS = 2  # looks at a trial, after a ninth and after a third of its budget


def rung_epochs(epochs: int) -> tuple[int, ...]:
    """After how many of all epochs trials are compared, fewest first."""
    ends = (math.ceil(epochs / FACTOR**power) for power in range(RUNGS, 0, -1))
    return tuple(sorted({end for end in ends if end < epochs}))


def rung_limits(trials: Sequence[Trial], rungs: int) -> tuple[float | None, ...]:
    """For each rung the loss that the next trial has at most to be trained on; None where there is nothing to compare with."""
    limits: list[float | None] = []
    for rung in range(rungs):
        losses = sorted(trial.rung_losses[rung] for trial in trials if len(trial.rung_losses) > rung)
        place = max(0, (len(losses) + 1) // FACTOR - 1)
        limits.append(losses[place] if place < len(losses) else None)
    return tuple(limits)
