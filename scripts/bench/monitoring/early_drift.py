"""Warnings between weeks: how often ADWIN is wrong in years without drift, and after how many reports it sees one."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.early.changes import find_changes
from scripts.bench.monitoring.simulated_drift import EXPOSURES, Answers, Field, World

Array = np.ndarray[Any, Any]
SIZE = 500  # reports a week
WEEKS_OF_YEARS = 208  # four years
CALM_WEEKS, WATCHED_WEEKS = 8, 8
PLAIN = World(EXPOSURES)


@dataclass(frozen=True)
class EarlyFound:
    """Of fields with drift: how many were watched, in how many a fall was seen in time, and the median of reports until then."""

    fields: int
    seen: int
    reports: int | None


def count_false_warnings(answers: Answers, seed: int, weeks: int = WEEKS_OF_YEARS) -> tuple[int, int]:
    """How often ADWIN sees a fall, and a rise, in weeks of a field without drift."""
    field = Field(answers, SIZE, seed)
    changes = find_changes(_stream(field, PLAIN, weeks))
    falls = sum(item.now < item.before for item in changes)
    return falls, len(changes) - falls


def measure_delay(answers: Answers, world: World, seed: int, fields: int) -> EarlyFound:
    """Reports from the first of the drift to the first warning; drift begins after eight weeks, and is watched for eight."""
    delays = []
    for number in range(fields):
        field = Field(answers, SIZE, seed * 10_000 + number)
        calm = _stream(field, PLAIN, CALM_WEEKS)
        changes = find_changes(np.concatenate([calm, _stream(field, world, WATCHED_WEEKS)]))
        falls = (item.place + 1 - len(calm) for item in changes if item.place >= len(calm) and item.now < item.before)
        delays.append(next(falls, None))
    seen = [delay for delay in delays if delay is not None]
    bounded = [SIZE * WATCHED_WEEKS + 1 if delay is None else delay for delay in delays]
    median = int(np.percentile(bounded, 50, method="higher"))
    return EarlyFound(fields, len(seen), median if median <= SIZE * WATCHED_WEEKS else None)


def _stream(field: Field, world: World, weeks: int) -> Array:
    """The estimated accuracy of one report after the other; users are in no order."""
    found = (field.week(world) for _ in range(weeks))
    return np.concatenate([week.right / week.inferences for week in found])
