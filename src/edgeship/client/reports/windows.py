"""The windows of reports, calendar weeks in UTC, and the pseudonym of a device in one. Standard library only."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, date, datetime, timedelta

WEEK, FIRST_MONDAY = 604_800, 345_600  # seconds; of time.time()


def week_of(seconds: float) -> int:
    """Which week since 1970 a time of `time.time` is in; weeks begin on Mondays, UTC."""
    return int((seconds - FIRST_MONDAY) // WEEK)


def name_window(week: int) -> str:
    """The window of a week, as `2026-W48`."""
    year, number, _ = datetime.fromtimestamp(week * WEEK + FIRST_MONDAY, UTC).isocalendar()
    return f"{year:04}-W{number:02}"


def name_install(secret: str, window: str) -> str:
    """The pseudonym of a window: HMAC-SHA256 with the device's secret (hexadecimal) of the month of its Thursday, 128 bits."""
    monday = date.fromisocalendar(int(window[:4]), int(window[6:]), 1)
    month = f"{monday + timedelta(days=3):%Y-%m}"
    return hmac.new(bytes.fromhex(secret), month.encode(), hashlib.sha256).hexdigest()[:32]
