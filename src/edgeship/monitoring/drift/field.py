"""A week of an inbox: which reports are compared with which, and what is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.statistics import Z95
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.accuracy import LEAST, LEVEL, Calibration, Rate, calibrate, find_drop, find_rate
from edgeship.monitoring.drift.early.watch import ArrivedWeek, watch_arrivals
from edgeship.monitoring.drift.installs import Installs, cap_installs, find_cap, gather_installs, merge_installs
from edgeship.monitoring.drift.judge import WORST, judge_week
from edgeship.monitoring.drift.layout import Layout, make_layout
from edgeship.monitoring.drift.results import (
    DriftResult,
    DriftVerdict,
    EarlyWatch,
    Judgement,
    LaunchCheck,
    NamedDrift,
    WeekSummary,
)
from edgeship.monitoring.drift.tables import percent
from edgeship.monitoring.drift.versions import KnownVersion
from edgeship.monitoring.inbox.arrival import CLOSED_AFTER, closes_at
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.monitoring.reports.windows import find_window, first_day

Array = np.ndarray[Any, Any]
BASELINE_WEEKS = 4


@dataclass(frozen=True)
class Question:
    """What is asked of an inbox: the sha256 of a profile, a window (None: the most reports, the newest that is closed).

    `now` (UTC) says which windows are closed; `labels`: what classes are called; `version`: what the profile's version is.
    """

    tolerance: float
    now: datetime
    profile: str | None = None
    window: str | None = None
    labels: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True)
class _Week:
    """Installations (N) of a window, their first report's arrival (N,) in seconds since 1970, and how many reports were late."""

    window: str
    installs: Installs
    arrived: Array
    late: int


def judge_field(inbox: Inbox, question: Question) -> DriftResult:
    """The verdict on a window of an inbox. Raises InputError where there are no reports of it, or of the profile."""
    counts = inbox.count_profiles()
    window = choose_window(counts, question.window, question.now, question.profile and (question.profile,))
    digest, others = _choose_profile(counts[window], question, window)
    known = inbox.read_known()
    if digest not in known:
        raise InputError(f"the inbox does not know the profile {digest[:16]} any more; name its bundle in `ingest`")
    profile = known[digest].profile
    layout, calibration = make_layout(profile, question.labels), calibrate(profile)
    weeks, base, later = list[_Week](), list[_Week](), list[_Week]()
    for item in sorted((item for item in counts if digest in counts[item] or item == window), key=first_day):
        week = _read_week(inbox, item, digest, layout, calibration)
        if first_day(item) < first_day(window) and len(week.installs) >= LEAST and len(base) < BASELINE_WEEKS:
            base.append(week)
        elif item != window:  # only its estimate is used
            week = replace(week, installs=replace(week.installs, counts=np.zeros((len(week.installs), 0))))
        (later if first_day(item) > first_day(window) else weeks).append(week)
    now = weeks[-1].installs
    merged = merge_installs([week.installs for week in base or weeks[-1:]])
    launch = _compare_with_lab(layout, calibration, base or weeks[-1:], merged, question.tolerance)
    verdict, reasons, judgement = *_judge_launch(len(base), launch), None
    if len(base) == BASELINE_WEEKS:
        judgement = judge_week(merged, now, layout, tolerance=question.tolerance, estimates=bool(calibration.output))
        verdict, reasons = judgement.verdict, judgement.reasons
    early = _watch_early([*weeks, *later], question.now) if calibration.output else None
    roles = {week.window: "baseline" for week in base} | {window: "judged"}
    return DriftResult(
        verdict=verdict,
        reasons=reasons,
        notes=tuple(_describe_limits(weeks[-1], question, calibration, judgement, others, early)),
        profile=digest,
        window=window,
        preliminary=closes_at(window) > question.now,
        tolerance=question.tolerance,
        baseline=tuple(week.window for week in base),
        weeks=tuple(_summarize(week, roles, calibration, find_cap(merged)) for week in weeks),
        launch=launch,
        judgement=judgement,
        early=early,
        version=question.version,
    )


def judge_versions(inbox: Inbox, name: str, versions: Mapping[str, KnownVersion], question: Question) -> NamedDrift:
    """The verdicts on the versions of a name, by their profiles, of which a window has reports; each has its own baseline.

    Raises InputError where there is no report of the window, or of none of them.
    """
    counts = inbox.count_profiles()
    window = choose_window(counts, question.window, question.now, tuple(versions))
    reported = sorted(counts[window].keys() & versions.keys(), key=lambda item: (-counts[window][item], item))
    if not reported:
        raise InputError(f"no report of {window} is of a version of {name} ({len(versions)} known)")
    found = []
    for profile in reported:  # the newest closed window of each is `window`
        version = versions[profile]
        asked = replace(question, profile=profile, labels=version.labels, version=version.name)
        result = judge_field(inbox, asked)
        if others := sorted(version.numbers.keys() - {name}):
            shared = f"the same bundle is kept as {', '.join(others)}, too: reports of both cannot be told apart"
            result = replace(result, notes=(*result.notes, shared))
        found.append(result)
    worst = max((result.verdict for result in found), key=WORST.index)
    silent = tuple(version.name for profile, version in versions.items() if profile not in counts[window])
    return NamedDrift(worst, name, window, tuple(found), silent)


def choose_window(
    counts: Mapping[str, Mapping[str, int]], window: str | None, now: datetime, profiles: Sequence[str] | None = None
) -> str:
    """The window that is judged: the one that is named, or the newest that is closed, of which `profiles` have reports.

    `counts`: reports by window and profile. Raises InputError where there is no report of it.
    """
    if not counts:
        raise InputError("the inbox has no reports yet")
    if window is not None:
        first_day(window)
        if window not in counts:
            ordered = sorted(counts, key=first_day)
            raise InputError(f"no report is of {window}; there are reports of {ordered[0]} to {ordered[-1]}")
        return window
    found = {item for item, of in counts.items() if profiles is None or not of.keys().isdisjoint(profiles)}
    ordered = sorted(found or counts, key=first_day)
    closed = [item for item in ordered if closes_at(item) <= now]
    return closed[-1] if closed else ordered[-1]


def _choose_profile(counts: Mapping[str, int], question: Question, window: str) -> tuple[str, dict[str, int]]:
    """The profile that is judged, and how many reports of the window are of others."""
    digest = question.profile or max(counts, key=lambda item: (counts[item], item))
    if digest not in counts:
        raise InputError(f"no report of {window} is of that bundle (its profile is {digest[:16]})")
    return digest, {name: count for name, count in counts.items() if name != digest}


def _read_week(inbox: Inbox, window: str, digest: str, layout: Layout, calibration: Calibration) -> _Week:
    late = 0
    arrived = dict[str, int]()  # by installation, in the order in which `gather_installs` has them

    def in_time() -> Iterable[Any]:
        nonlocal late
        for item in inbox.read(window):
            if item.report.profile == digest:
                late += item.late
                if not item.late:
                    arrived.setdefault(item.report.install, item.received)
                    yield item.report

    installs = gather_installs(in_time(), layout, calibration)
    return _Week(window, installs, np.array(list(arrived.values()), dtype=np.int64), late)


def _watch_early(weeks: Sequence[_Week], now: datetime) -> EarlyWatch:
    return watch_arrivals([ArrivedWeek(week.window, week.installs, week.arrived) for week in weeks], now)


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
    week: _Week, question: Question, calibration: Calibration, judgement: Judgement | None, others: dict[str, int],
    early: EarlyWatch | None,
) -> Iterable[str]:  # fmt: skip
    newest = find_window((question.now - CLOSED_AFTER).date())
    if closes_at(week.window) > question.now:
        yield f"preliminary: {week.window} takes reports until {closes_at(week.window):%Y-%m-%d}"
    elif question.window is None and week.window != newest:
        yield f"of {newest}, the newest week that is closed, there is no report"
    if early and early.missing:
        yield f"no early warning between weeks: {early.missing}"
    if week.late:
        yield f"{week.late:,} late report{'s'[: week.late != 1]} came after the window was closed, and do not count"
    if others and not question.version:
        names = ", ".join(f"{name[:12]} ({count:,} reports)" for name, count in sorted(others.items())[:3])
        yield f"other profiles in {week.window}: {names}; --bundle or --name chooses"
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
