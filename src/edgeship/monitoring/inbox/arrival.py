"""A report that has arrived: whether it is of a bundle that is known, of a week that can be, and what is kept of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import NamedTuple

import msgspec

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.profile.profile import Profile
from edgeship.monitoring.reports.bins import ProfileBins
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.report import Report
from edgeship.monitoring.reports.windows import first_day

MOST_DAYS = 35  # between a window and the day on which its report arrives
CLOSED_AFTER = timedelta(days=14)  # of the window's first day: it ends with the 7th, and is closed 7 days later
EPOCH = date(1970, 1, 1).toordinal()
REASONS = ("invalid", "window", "unknown", "bins")
# One text for one content, whatever the order of names and the blanks were: a copy through other software is no conflict.
_ENCODER = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True)
class KnownBundle:
    """What reports may be of: a profile, and the sha256 of the manifests that come with it; none where they are not known."""

    profile: Profile
    manifests: frozenset[str]

    @cached_property
    def bins(self) -> ProfileBins:
        """What reports are checked by."""
        return ProfileBins(self.profile)


class Arrival(NamedTuple):
    """A report that was checked. `digest`: 16 bytes of the sha256 of `body`, its JSON; `received`: seconds since 1970."""

    key: str
    window: str
    profile: str
    digest: bytes
    body: bytes
    received: int
    late: bool


class RefusedReport(InputError):
    """A report that is not kept; `reason`: one of `REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_report(content: bytes, known: Mapping[str, KnownBundle], received: int) -> Arrival:
    """What is kept of the report in some bytes of JSON, which arrived at `received` (seconds since 1970).

    `known`: the bundles, by the sha256 of their profile. Raises RefusedReport for what is no report, contradicts itself, is of
    a week more than 35 days off, of an unknown bundle, or in the bins of another profile.
    """
    try:
        report = read_report(content)
    except InputError as error:
        raise RefusedReport("invalid", str(error)) from error
    late = check_window(report.window, received // 86_400)
    _check_bundle(report, known)
    body = _ENCODER.encode(report)
    return Arrival(report.key, report.window, report.profile, hashlib.sha256(body).digest()[:16], body, received, late)


def _check_bundle(report: Report, known: Mapping[str, KnownBundle]) -> None:
    bundle = known.get(report.profile)
    if bundle is None:
        raise RefusedReport("unknown", f"the report is of a profile that is not known here, {report.profile[:16]}")
    if report.bundle is not None and bundle.manifests and report.bundle not in bundle.manifests:
        raise RefusedReport("unknown", f"the report is of a bundle that is not known here, {report.bundle[:16]}")
    try:
        bundle.bins.check(report)
    except InputError as error:
        raise RefusedReport("bins", str(error)) from error


@lru_cache(maxsize=1000)
def check_window(window: str, day: int, what: str = "report") -> bool:
    """Whether a report, or another `what`, of the window is late on that day (since 1970).

    Raises RefusedReport where it is too far off.
    """
    passed = day - (first_day(window).toordinal() - EPOCH)  # days since its Monday; no date: a year may be 1 or 9999
    if not -MOST_DAYS <= passed <= 6 + MOST_DAYS:
        today = date.fromordinal(day + EPOCH)
        raise RefusedReport(
            "window", f"the {what} is of {window}, more than {MOST_DAYS} days from {today}, when it arrived"
        )
    return passed >= CLOSED_AFTER.days


def closes_at(window: str) -> datetime:
    """When a window is closed (UTC): seven days after its end. Reports that arrive from then on are late."""
    monday = first_day(window)
    return datetime(monday.year, monday.month, monday.day, tzinfo=UTC) + CLOSED_AFTER
