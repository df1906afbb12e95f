"""A field on one page: which versions are used, how much, how right and how fast they are as far as counts tell."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.statistics import Z95
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.accuracy import LEAST, Calibration, calibrate, find_rate
from edgeship.monitoring.drift.installs import ACCEPTED, CAP, CORRECTED
from edgeship.monitoring.drift.versions import KnownVersion
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.monitoring.profile.profile import Profile
from edgeship.monitoring.reports.report import Report
from edgeship.monitoring.reports.windows import first_day

Array = np.ndarray[Any, Any]
WEEKS = 13


@dataclass(frozen=True)
class VersionWeek:
    """A version in a week: installations and their inferences, errors, fallbacks, and outcomes by name.

    `estimate`: of the accuracy, with a 95 % interval over installations; None of fewer than 25, and where no labels calibrate it.
    """

    window: str
    version: str
    installs: int
    inferences: int
    errors: int
    fallbacks: int
    outcomes: Mapping[str, int]
    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LatencyRow:
    """Latency in ms of timed inferences of a version's artifact by device tier (bins: within 10 %), and what the lab measured."""

    version: str
    artifact: str
    tier: str
    timed: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    lab: str
    lab_p50_ms: float | None
    lab_p90_ms: float | None


@dataclass(frozen=True)
class VersionSummary:
    """A version over all weeks shown: offline accuracy (of the lab) beside what the field tells.

    `estimate`: the last week's. `accepted`: of accepted and corrected outcomes, None without both.
    """

    version: str
    profile: str
    first: str
    last: str
    inferences: int
    lab: float | None
    estimate: float | None
    accepted: float | None


@dataclass(frozen=True)
class FieldReport:
    """The newest weeks of an inbox."""

    windows: tuple[str, ...]
    versions: tuple[VersionSummary, ...]
    weeks: tuple[VersionWeek, ...]
    latency: tuple[LatencyRow, ...]


class _Sums:
    """What a version's reports of a week add up to."""

    def __init__(self) -> None:
        self.installs: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.errors = self.fallbacks = 0
        self.outcomes: Counter[str] = Counter()

    def add(self, report: Report, calibration: Calibration) -> None:
        """Count a report."""
        install = self.installs[report.install]
        install[0] += report.n
        install[1] += calibration.count_right(report)
        self.errors += sum(report.errors.values())
        self.fallbacks += report.fallbacks
        self.outcomes.update({name: sum(pairs[1::2]) for name, pairs in report.outcomes.items()})


def report_field(inbox: Inbox, known: Mapping[str, KnownVersion], name: str = "") -> FieldReport:
    """What the newest 13 weeks of an inbox tell; with a `name`, of the versions in `known` alone, which are all of it.

    Raises InputError where it has no reports, or none of them.
    """
    counts = inbox.count_profiles()
    if not counts:
        raise InputError("the inbox has no reports yet")
    reported = (window for window, of in counts.items() if not name or of.keys() & known.keys())
    windows = sorted(reported, key=first_day)[-WEEKS:]
    if not windows:
        raise InputError(f"no report is of a version of {name} ({len(known)} known)")
    profiles = {item: bundle.profile for item, bundle in inbox.read_known().items() if not name or item in known}
    calibrations = {name: calibrate(profile) for name, profile in profiles.items()}
    sums: dict[tuple[str, str], _Sums] = defaultdict(_Sums)
    latencies: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for window in windows:
        for item in inbox.read(window):
            report = item.report
            if report.profile in profiles:
                sums[window, report.profile].add(report, calibrations[report.profile])
                cells = dict(zip(report.latency[::2], report.latency[1::2], strict=True))
                latencies[report.profile, report.artifact, report.tier].update(cells)
    names = {name: known[name].name if name in known else name[:12] for name in profiles}
    weeks = tuple(
        _summarize_week(window, names[profile], found, bool(calibrations[profile].output))
        for (window, profile), found in sums.items()
    )
    used = dict.fromkeys(profile for _, profile in sums)
    versions = tuple(_summarize_version(item, names[item], weeks, calibrations[item]) for item in used)
    timed = {key: cells for key, cells in sorted(latencies.items()) if cells}
    rows = (_list_latency(key, cells, profiles[key[0]], names[key[0]], known) for key, cells in timed.items())
    return FieldReport(tuple(windows), versions, weeks, tuple(rows))


def _summarize_week(window: str, version: str, found: _Sums, estimates: bool) -> VersionWeek:
    rows = np.array(list(found.installs.values()))
    n, right = rows[:, 0], rows[:, 1]
    factor = np.minimum(1.0, CAP * (float(np.median(n[n > 0])) if n.any() else 1.0) / np.maximum(n, 1.0))
    rate = find_rate(right * factor, n * factor) if estimates else None
    shown = rate is not None and rate.installs >= LEAST
    value, half = (rate.value, Z95 * rate.variance**0.5) if rate else (0.0, 0.0)
    return VersionWeek(
        window, version, len(rows), int(n.sum()), found.errors, found.fallbacks, dict(sorted(found.outcomes.items())),
        value if shown else None, value - half if shown else None, value + half if shown else None,
    )  # fmt: skip


def _summarize_version(
    profile: str, version: str, weeks: tuple[VersionWeek, ...], calibration: Calibration
) -> VersionSummary:
    own = [week for week in weeks if week.version == version]
    accepted, corrected = (sum(week.outcomes.get(name, 0) for week in own) for name in (ACCEPTED, CORRECTED))
    return VersionSummary(
        version, profile, own[0].window, own[-1].window, sum(week.inferences for week in own),
        max(calibration.lab.values(), default=None), own[-1].estimate,
        accepted / (accepted + corrected) if accepted and corrected else None,
    )  # fmt: skip


def _list_latency(
    key: tuple[str, str, str],
    cells: Mapping[int, int],
    profile: Profile,
    version: str,
    known: Mapping[str, KnownVersion],
) -> LatencyRow:
    counts = np.zeros(len(profile.latency) + 1)
    counts[list(cells)] = list(cells.values())
    edges = profile.latency
    middles = [edges[0], *((low * high) ** 0.5 for low, high in pairwise(edges)), edges[-1]]
    reached = np.cumsum(counts) / counts.sum()
    half, most, nearly_all = (
        float(middles[int(np.searchsorted(reached, share - 1e-12))]) for share in (0.5, 0.9, 0.99)
    )
    lab = known[key[0]].latency.get(key[1]) if key[0] in known else None
    where, lab_half, lab_most = lab or ("", None, None)
    return LatencyRow(version, key[1], key[2], int(counts.sum()), half, most, nearly_all, where, lab_half, lab_most)
