"""A warning before a week is closed: the estimated accuracy of installations in the order in which their reports arrived.

The verdict on a week waits for its last reports, up to 14 days. ADWIN looks at each report as it comes; it neither knows a
tolerance nor which histogram moved, and its window may hold few reports: so it warns, and the week's verdict decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from edgeship.errors import MissingDependencyError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.early.changes import find_changes
from edgeship.monitoring.drift.installs import Installs
from edgeship.monitoring.drift.results import EarlyChange, EarlyWatch
from edgeship.monitoring.inbox.arrival import closes_at

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ArrivedWeek:
    """Installations (N) of a window, and when the first report of each arrived: `arrived` (N,), seconds since 1970."""

    window: str
    installs: Installs
    arrived: Array


def watch_arrivals(weeks: Sequence[ArrivedWeek], now: datetime) -> EarlyWatch:
    """What ADWIN sees in weeks, the oldest first; it warns of a fall in one that is not closed at `now`.

    An installation counts once a week, with the share of its inferences that are right by estimate, however many they are.
    """
    values, arrived, windows = _order_arrivals(weeks)
    try:
        changes = find_changes(values)
    except MissingDependencyError as error:
        return EarlyWatch(len(values), (), "", str(error))
    found = tuple(
        EarlyChange(
            f"{datetime.fromtimestamp(arrived[item.place], UTC):%Y-%m-%d}", windows[item.place], item.before, item.now,
            item.count, closes_at(windows[item.place]) > now,
        )
        for item in changes
    )  # fmt: skip
    return EarlyWatch(len(values), found, _describe_warning(found), "")


def _order_arrivals(weeks: Iterable[ArrivedWeek]) -> tuple[Array, list[int], list[str]]:
    """By time; of what came in the same second, as from a file, by week and in the order of the inbox."""
    rows = [
        (int(second), week.window, float(right / n))
        for week in weeks
        for second, right, n in zip(week.arrived, week.installs.right, week.installs.inferences, strict=True)
        if n > 0
    ]
    rows.sort(key=lambda row: row[0])  # which keeps the order of equals
    return (
        np.array([value for _, _, value in rows]),
        [second for second, _, _ in rows],
        [window for _, window, _ in rows],
    )


def _describe_warning(changes: Sequence[EarlyChange]) -> str:
    if not changes or not changes[-1].preliminary or changes[-1].now >= changes[-1].before:
        return ""
    last = changes[-1]
    return (
        f"the estimated accuracy of an installation fell from {100 * last.before:.1f} to {100 * last.now:.1f} % on average, in "
        f"the last {last.installs:,} whose reports had arrived by {last.day}; {last.window} is not closed yet"
    )
