"""Users of an experiment from what their clients reported: each pseudonym is a user, with the arm it was assigned to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from edgeship.errors import InputError, brief_message
from edgeship.monitoring.experiments.users.user_totals import UserTotals, check_week, group_rows
from edgeship.monitoring.profile.edges import latency_edges
from edgeship.monitoring.reports.read import MOST_BYTES, read_report
from edgeship.monitoring.reports.report import Report
from edgeship.monitoring.reports.windows import month_of
from edgeship.untrusted import printable, regular_file


def read_reports(path: Path) -> Iterator[Report]:
    """The reports in a .jsonl, one a line, or in the .json files of a folder. Raises InputError that names the first bad one."""
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield _read_one(regular_file(file).read_bytes(), printable(file))
        return
    with regular_file(path, links=True).open("rb") as lines:
        number = 0
        while line := lines.readline(MOST_BYTES + 2):
            number += 1
            if line.strip():
                yield _read_one(line, f"{printable(path)}:{number}")


def _read_one(content: bytes, where: str) -> Report:
    try:
        return read_report(content)
    except InputError as error:
        raise InputError(f"{where}: {brief_message(error)}") from error


def sum_reports(reports: Iterable[Report], experiment: str, today: date | None = None) -> UserTotals:
    """The users of an experiment. A second copy of a report counts once; two of one key that differ do not count at all.

    Counts: `inferences`, `errors` and `error.<code>`, `fallbacks`, `switches`, each outcome by its name, and `latency_ms` of
    `timed` inferences, as their bins tell it (within 5 %). Raises InputError
    where no report is of the experiment, for a window in the future, and for windows of several months: an installation has
    another pseudonym in each, and would count as two users.
    """
    taken: dict[str, Report] = {}
    conflicts: set[str] = set()
    known: set[str] = set()
    for report in reports:
        known.update(report.arms)
        check_week(report.window, today or datetime.now(UTC).date(), "a report")
        if experiment in report.arms and taken.setdefault(report.key, report) != report:
            conflicts.add(report.key)
    rows = [report for key, report in taken.items() if key not in conflicts]
    if not rows:
        shown = ", ".join(sorted(known)) or "none"
        raise InputError(f"no report is of the experiment '{printable(experiment)}'; experiments in reports: {shown}")
    months = sorted({month_of(report.window) for report in rows})
    if len(months) > 1:
        raise InputError(
            f"the reports are of {len(months)} months, {months[0]} to {months[-1]}: pseudonyms change with the month, and an "
            "installation would count as two users; take the reports of one month, or a table with users of your own"
        )
    counts = [_count(report) for report in rows]
    names = sorted({name for item in counts for name in item})
    sums = {name: np.array([item.get(name, 0) for item in counts], dtype=np.float64) for name in names}
    return group_rows([report.install for report in rows], [report.arms[experiment] for report in rows], sums, {})


def _count(report: Report) -> dict[str, float]:
    outcomes = {name: sum(pairs[1::2]) for name, pairs in report.outcomes.items()}
    errors = {f"error.{code}": count for code, count in report.errors.items()}
    middles = _latency_middles()
    if report.latency and report.latency[-2] >= len(middles):
        raise InputError(f"a report has latencies in bin {report.latency[-2]}, and there are {len(middles)}")
    own = {
        "inferences": report.n,
        "errors": sum(report.errors.values()),
        "fallbacks": report.fallbacks,
        "switches": report.switches,
        "timed": sum(report.latency[1::2]),
        "latency_ms": sum(
            middles[cell] * count for cell, count in zip(report.latency[::2], report.latency[1::2], strict=True)
        ),
    }
    return {**outcomes, **errors, **own}


@cache
def _latency_middles() -> tuple[float, ...]:
    """A latency in milliseconds for each bin: the geometric middle, and the edge of the first and the last."""
    edges = latency_edges()
    return (edges[0], *(math.sqrt(low * high) for low, high in pairwise(edges)), edges[-1])
