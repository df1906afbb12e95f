"""Days as places in a calendar: the app looks a date's text up in a list, and the model knows what day stands at each place.

So no client has to reckon with dates. The list runs from the first day of the training rows to some years after the last; behind
it stand the gap, and what is not in the list. What the model has of each place never changes in training.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.train.dataset import Array
from edgeship.train.own_data.sources.columns import MISSING

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
YEARS_AHEAD = 5  # after the last training day
MOST_DAYS = 20_000  # in a list: 55 years
WHY_NOT = f"date, but not of days (YYYY-MM-DD) within {MOST_DAYS // 365 - YEARS_AHEAD} years"
FEATURES = 3  # of a date, as baselines see it
DAYS_OF_YEAR = 365.25


@dataclass(frozen=True)
class DateColumn:
    """A column of days: `days` since 1970 (n,), float32 with NaN for gaps."""

    name: str
    days: Array


def read_days(name: str, texts: Sequence[str], codes: Array) -> DateColumn | None:
    """The column whose rows are places `codes` in `texts`, the empty text for gaps; None for no days, or days too far apart."""
    days = np.full(len(texts), np.nan, np.float32)
    for place, text in enumerate(texts):
        if text == MISSING:
            continue
        try:
            days[place] = _days_since_1970(datetime.date.fromisoformat(text)) if DAY.fullmatch(text) else np.nan
        except ValueError:
            return None
        if np.isnan(days[place]):
            return None
    known = days[~np.isnan(days)]
    if not len(known) or np.ptp(known) > MOST_DAYS - YEARS_AHEAD * 366:
        return None
    return DateColumn(name, days[codes])


def _days_since_1970(day: datetime.date) -> int:
    return day.toordinal() - datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Calendar:
    """A date column's list: `column` as the contract has it, the rows' `places` (int32), and what the model has of each place.

    `table` is float32 (places, features): how far on between the first and the last training day (0 to 1), one of seven weekdays,
    sine and cosine of the day in the year, and whether it is known.
    """

    column: dict[str, Any]
    places: Array
    table: Array


def build_calendar(item: DateColumn, train: Array) -> Calendar:
    """The list of a column by its training rows (int64). All days of these are in it; others before the first are unknown."""
    known = item.days[train][~np.isnan(item.days[train])]
    first, last = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    days = np.arange(first, last + YEARS_AHEAD * 366 + 1)
    texts = [(datetime.date(1970, 1, 1) + datetime.timedelta(int(day))).isoformat() for day in days]
    gap, unknown = len(texts), len(texts) + 1
    table = np.zeros((unknown + 1, 11), np.float32)
    table[:gap, 0] = np.minimum(1, (days - first) / max(1, last - first))
    table[np.arange(gap), 1 + (days + 3) % 7] = 1  # 1970-01-01 was a Thursday
    angles = 2 * np.pi * (days % DAYS_OF_YEAR) / DAYS_OF_YEAR
    table[:gap, 8], table[:gap, 9], table[:gap, 10] = np.sin(angles), np.cos(angles), 1
    with np.errstate(invalid="ignore"):
        places = np.where(np.isnan(item.days), gap, item.days - first)
    places = np.where((places < 0) | ((places >= gap) & ~np.isnan(item.days)), unknown, places).astype(np.int32)
    column = {"name": item.name, "kind": "category", "values": [*texts, MISSING], "unknown": unknown}
    return Calendar(column, places, table)


def describe_days(item: DateColumn, rows: Array) -> Array:
    """What baselines take of some rows: the day, the weekday and the day in the year, float32 (rows, 3) with NaN for gaps."""
    days = item.days[rows]
    return np.stack([days, (days + 3) % 7, days % DAYS_OF_YEAR], axis=1).astype(np.float32)


def show_day(item: DateColumn, row: int) -> str:
    """The day of a row as text."""
    day = item.days[row]
    return "missing" if np.isnan(day) else (datetime.date(1970, 1, 1) + datetime.timedelta(int(day))).isoformat()
