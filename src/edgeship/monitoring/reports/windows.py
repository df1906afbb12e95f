"""The window of a report: an ISO calendar week, in UTC, as `2026-W48`."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache

from edgeship.errors import InputError
from edgeship.untrusted import printable

WINDOW = r"^[0-9]{4}-W[0-9]{2}$"
_PARTS = re.compile(r"([0-9]{4})-W([0-9]{2})")


def find_window(day: date) -> str:
    """The window that a day (of UTC) is in."""
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


@lru_cache(maxsize=1000)  # every report of a week asks for its Monday
def first_day(window: str) -> date:
    """The Monday on which a window begins. Raises InputError for what is no week of the calendar, as 2025-W53."""
    if match := _PARTS.fullmatch(window):
        try:
            return date.fromisocalendar(int(match[1]), int(match[2]), 1)
        except ValueError:
            pass
    raise InputError(f"window must be a week of the ISO calendar as 2026-W48, not '{printable(window)[:20]}'")


def month_of(window: str) -> str:
    """The month, as `2026-11`, whose pseudonym a window has: that of its Thursday, so that no window has two."""
    return f"{first_day(window) + timedelta(days=3):%Y-%m}"
