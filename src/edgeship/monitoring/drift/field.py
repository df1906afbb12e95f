"""A week of an inbox: which reports are compared with which, and what is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.statistics import Z95
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.accuracy import LEAST, LEVEL, Calibration, Rate, calibrate, find_drop, find_rate
from edgeship.monitoring.drift.installs import Installs, cap_installs, find_cap, gather_installs, merge_installs
from edgeship.monitoring.drift.judge import judge_week
from edgeship.monitoring.drift.layout import Layout, make_layout
from edgeship.monitoring.drift.results import DriftResult, DriftVerdict, Judgement, LaunchCheck, WeekSummary
from edgeship.monitoring.drift.tables import percent
from edgeship.monitoring.inbox.arrival import closes_at
from edgeship.monitoring.inbox.inbox import Inbox, StoredReport
from edgeship.monitoring.reports.windows import first_day

Array = np.ndarray[Any, Any]
BASELINE_WEEKS = 4


@dataclass(frozen=True)
class Question:
    """What is asked of an inbox: the sha256 of a profile, a window (None: the most reports, the newest that is closed).

    `now` (UTC) says which windows are closed; `labels`: what classes are called.
    """

    tolerance: float
    now: datetime
    profile: str | None = None
    window: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Week:
    window: str
    installs: Installs
    late: int


def judge_field(inbox: Inbox, question: Question) -> DriftResult:
    """The verdict on a window of an inbox. Raises InputError where there are no reports of it, or of the profile."""
    window, before = _choose_window(inbox.read_windows(), question)
    digest, others = _choose_profile(inbox.read(window), question, window)
    known = inbox.read_known()
    if digest not in known:
        raise InputError(f"the inbox does not know the profile {digest[:16]} any more; name its bundle in `ingest`")
    profile = known[digest].profile
    layout, calibration = make_layout(profile, question.labels), calibrate(profile)
    weeks, base = list[_Week](), list[_Week]()
    for item in (*before, window):
        week = _read_week(inbox, item, digest, layout, calibration)
        if item != window and len(week.installs) >= LEAST and len(base) < BASELINE_WEEKS:
            base.append(week)
        elif item != window:  # only its estimate is shown
            week = replace(week, installs=replace(week.installs, counts=np.zeros((len(week.installs), 0))))
        weeks.append(week)
    now = weeks[-1].installs
    merged = merge_installs([week.installs for week in base or weeks[-1:]])
    launch = _compare_with_lab(layout, calibration, base or weeks[-1:], merged, question.tolerance)
    verdict, reasons, judgement = *_judge_launch(len(base), launch), None
    if len(base) == BASELINE_WEEKS:
        judgement = judge_week(merged, now, layout, tolerance=question.tolerance, estimates=bool(calibration.output))
        verdict, reasons = judgement.verdict, judgement.reasons
    closed = closes_at(window) <= question.now
    roles = {week.window: "baseline" for week in base} | {window: "judged"}
    return DriftResult(
        verdict=verdict,
        reasons=reasons,
        notes=tuple(_describe_limits(weeks[-1], question, calibration, judgement, closed, others)),
        profile=digest,
        window=window,
        preliminary=not closed,
        tolerance=question.tolerance,
        baseline=tuple(week.window for week in base),
        weeks=tuple(_summarize(week, roles, calibration, find_cap(merged)) for week in weeks),
        launch=launch,
        judgement=judgement,
    )


def _choose_window(windows: Sequence[str], question: Question) -> tuple[str, list[str]]:
    """The window that is judged, and those before it."""
    if not windows:
        raise InputError("the inbox has no reports yet")
    ordered = sorted(windows, key=first_day)
    window = question.window
    if window is None:
        closed = [item for item in ordered if closes_at(item) <= question.now]
        window = closed[-1] if closed else ordered[-1]
    first_day(window)
    if window not in ordered:
        raise InputError(f"no report is of {window}; there are reports of {ordered[0]} to {ordered[-1]}")
    return window, ordered[: ordered.index(window)]


def _choose_profile(reports: Iterable[StoredReport], question: Question, window: str) -> tuple[str, dict[str, int]]:
    """The profile that is judged, and how many reports of the window are of others."""
    found = Counter(item.report.profile for item in reports)
    digest = question.profile or found.most_common(1)[0][0]
    if digest not in found:
        raise InputError(f"no report of {window} is of that bundle (its profile is {digest[:16]})")
    return digest, {name: count for name, count in found.items() if name != digest}


def _read_week(inbox: Inbox, window: str, digest: str, layout: Layout, calibration: Calibration) -> _Week:
    late = 0

    def in_time() -> Iterable[Any]:
        nonlocal late
        for item in inbox.read(window):
            if item.report.profile == digest:
                late += item.late
                if not item.late:
                    yield item.report

    installs = gather_installs(in_time(), layout, calibration)
    return _Week(window, installs, late)


def _judge_launch(weeks: int, launch: LaunchCheck | None) -> tuple[DriftVerdict, tuple[str, ...]]:
    """What is said before there is a baseline."""
    start = (
        f"the baseline is the field's own first {BASELINE_WEEKS} weeks of at least {LEAST} installations each, before the one "
        f"that is judged; there {'is' if weeks == 1 else 'are'} {weeks}"
    )
    drop = launch.drop if launch else None
    if drop is None or drop.p > LEVEL:
        return "INCONCLUSIVE", (start,)
    found = f"{percent(drop.now)} estimated in the field, {percent(drop.before)} measured in the lab"
    return "NOTICE", (f"accuracy: {found}, more than the tolerance below; are users' inputs those of the lab?", start)


def _describe_limits(
    week: _Week, question: Question, calibration: Calibration, judgement: Judgement | None, closed: bool,
    others: dict[str, int],
) -> Iterable[str]:  # fmt: skip
    if not closed:
        yield f"preliminary: {week.window} takes reports until {closes_at(week.window):%Y-%m-%d}"
    if week.late:
        yield f"{week.late:,} late report{'s'[: week.late != 1]} came after the window was closed, and do not count"
    if others:
        names = ", ".join(f"{name[:12]} ({count:,} reports)" for name, count in sorted(others.items())[:3])
        yield f"other profiles in {week.window}: {names}; --bundle chooses one"
    if not calibration.output:
        yield "accuracy is not estimated: the profile has no output of classes with labels"
    told = sorted(name for name in week.installs.events if name.startswith("outcome "))
    if not told:
        yield (
            "concept drift, where the same inputs have other right answers now, is invisible here: no outcome is reported; "
            "`edgeship monitor audit` finds it"
        )
    elif judgement and judgement.accepted is None:
        yield (
            "concept drift shows in outcomes alone; what it costs is not known without both `accepted` and `corrected`, of "
            f"{LEAST} installations in the baseline and in the week"
        )
    else:
        yield "concept drift shows in outcomes alone, which are of the users who care to tell"


def _summarize(week: _Week, roles: dict[str, str], calibration: Calibration, cap: float) -> WeekSummary:
    installs = week.installs
    capped = cap_installs(installs, cap)
    rate = find_rate(capped.right, capped.inferences) if calibration.output else None
    half = Z95 * rate.variance**0.5 if rate else 0.0
    return WeekSummary(
        week.window, roles.get(week.window, ""), len(installs), int(installs.inferences.sum()), week.late,
        rate.value if rate else None, rate.value - half if rate else None, rate.value + half if rate else None,
    )  # fmt: skip


def _compare_with_lab(
    layout: Layout, calibration: Calibration, base: Sequence[_Week], merged: Installs, tolerance: float
) -> LaunchCheck | None:
    artifacts = Counter(merged.slices.get("artifact", ()))
    if not artifacts:
        return None
    artifact = artifacts.most_common(1)[0][0]
    capped = cap_installs(merged, find_cap(merged))
    lab, field = layout.to_lab_row(artifact), capped.counts.sum(axis=0)
    distances = {}
    for item in layout.histograms:
        first, second = lab[item.start : item.stop], field[item.start : item.stop]
        if first.sum() and second.sum():
            distances[item.name] = float(np.abs(first / first.sum() - second / second.sum()).sum() / 2)
    rate = find_rate(capped.right, capped.inferences) if calibration.output else None
    nearest = dict(sorted(distances.items(), key=lambda pair: -pair[1]))
    lab_share, samples = calibration.lab.get(artifact), layout.profile.samples
    measured = None if lab_share is None else Rate(lab_share, lab_share * (1 - lab_share) / samples, samples)
    return LaunchCheck(
        tuple(week.window for week in base), nearest, lab_share, rate.value if rate else None,
        find_drop(measured, rate, tolerance),
    )  # fmt: skip
