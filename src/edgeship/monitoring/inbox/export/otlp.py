"""Reports as OpenTelemetry metrics: sums over installations, for a collector that is there already.

Each line of the file is an ExportMetricsServiceRequest in the JSON encoding of OTLP (https://opentelemetry.io/docs/specs/otlp,
"JSON Protobuf Encoding"): what the collector's `otlpjsonfile` receiver reads, and what can be posted to /v1/metrics. All are
deltas of a week. OTLP has no key for duplicates: a window that is sent twice counts twice there.

Counts are written as numbers. The encoding has texts for whole numbers of 64 bits, and readers must take both; some, as
Rotel 0.0.1a15, silently drop values that are texts. None of ours is beyond the 2^53 up to which every reader of JSON is exact,
but for times, which stay texts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from edgeship import __version__
from edgeship.monitoring.inbox.arrival import KnownBundle
from edgeship.monitoring.inbox.inbox import StoredReport
from edgeship.monitoring.profile.profile import Profile
from edgeship.monitoring.reports.report import ClassCounts, Report
from edgeship.monitoring.reports.windows import first_day
from edgeship.storage.atomic import atomic_file

DELTA = 1  # AGGREGATION_TEMPORALITY_DELTA
SUMS = ("reports", "inferences", "fallbacks", "switches", "errors", "outcomes", "predictions")
Attributes = tuple[tuple[str, str], ...]
Json = dict[str, Any]


class Group(NamedTuple):
    """Whose reports are added up."""

    window: str
    profile: str
    artifact: str
    runtime: str
    tier: str


class Totals:
    """What the reports of a group count together: sums by metric and attributes, and latencies by bin of the profile."""

    def __init__(self) -> None:
        self.sums: Counter[tuple[str, Attributes]] = Counter()
        self.latency: Counter[int] = Counter()

    def add(self, report: Report, profile: Profile) -> None:
        """Add a report."""
        for name, count in (("reports", 1), ("inferences", report.n)):
            self.sums[name, ()] += count
        for name in ("fallbacks", "switches"):
            self.sums[name, ()] += getattr(report, name)
        for code, count in report.errors.items():
            self.sums["errors", (("error.type", code),)] += count
        for event, pairs in report.outcomes.items():
            for predicted, count in _pairs(pairs):
                self.sums["outcomes", (("outcome", event), ("class", str(predicted)))] += count
        for item in profile.outputs:
            output = report.outputs[item.name]
            if isinstance(output, ClassCounts):
                for cell, count in _pairs(output.joint):
                    predicted = cell // (len(item.confidence) + 1)
                    self.sums["predictions", (("output", item.name), ("class", str(predicted)))] += count
        for place, count in _pairs(report.latency):
            self.latency[place] += count


def _pairs(pairs: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(pairs[::2], pairs[1::2], strict=True)


def write_otlp(reports: Iterable[StoredReport], known: Mapping[str, KnownBundle], out: Path) -> int:
    """Write a request for each group to a file, which is there whole or not at all; how many reports are in them."""
    groups: dict[Group, Totals] = {}
    count = 0
    for item in reports:
        report = item.report
        group = Group(report.window, report.profile, report.artifact, report.runtime, report.tier)
        groups.setdefault(group, Totals()).add(report, known[report.profile].profile)
        count += 1
    with atomic_file(out) as beside, beside.open("w", encoding="utf-8") as file:
        for group, totals in sorted(groups.items()):
            request = _render_request(group, totals, known[group.profile].profile)
            file.write(json.dumps(request, separators=(",", ":")) + "\n")
    return count


def _render_request(group: Group, totals: Totals, profile: Profile) -> Json:
    about = (("service.name", "edgeship"), *((f"edgeship.{name}", text) for name, text in group._asdict().items()))
    metrics = [_render_sum(name, totals, group.window) for name in SUMS if any(key[0] == name for key in totals.sums)]
    metrics.append(_render_latency(totals, profile, group.window))
    scope = {"scope": {"name": "edgeship", "version": __version__}, "metrics": metrics}
    return {"resourceMetrics": [{"resource": {"attributes": _attributes(about)}, "scopeMetrics": [scope]}]}


def _render_sum(name: str, totals: Totals, window: str) -> Json:
    points = [
        {**_times(window), "attributes": _attributes(key[1]), "asInt": count}
        for key, count in sorted(totals.sums.items())
        if key[0] == name
    ]
    return {
        "name": f"edgeship.{name}",
        "unit": "1",
        "sum": {"dataPoints": points, "aggregationTemporality": DELTA, "isMonotonic": True},
    }


def _render_latency(totals: Totals, profile: Profile, window: str) -> Json:
    """A bucket of OTLP holds its upper bound, a bin of a profile its lower one: what lies on an edge is one bin off."""
    counts = [totals.latency[place] for place in range(len(profile.latency) + 1)]
    point = {
        **_times(window),
        "count": sum(counts),
        "explicitBounds": list(profile.latency),
        "bucketCounts": counts,
    }
    return {
        "name": "edgeship.latency",
        "unit": "ms",
        "histogram": {"dataPoints": [point], "aggregationTemporality": DELTA},
    }


def _times(window: str) -> Json:
    monday = first_day(window)
    start = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
    names = {"startTimeUnixNano": start, "timeUnixNano": start + timedelta(days=7)}
    return {name: str(int(moment.timestamp()) * 1_000_000_000) for name, moment in names.items()}


def _attributes(pairs: Attributes) -> list[Json]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in pairs]
