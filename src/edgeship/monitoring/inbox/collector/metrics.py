"""The server's own counters, in the text form that Prometheus reads. They begin anew with each start."""

from __future__ import annotations

from collections.abc import Mapping

from edgeship.monitoring.inbox.arrival import REASONS
from edgeship.monitoring.inbox.collector.writer import Writer
from edgeship.monitoring.inbox.samples.sample import REASONS as SAMPLE_REASONS

SAMPLE_RESULTS = ("new", "duplicate", *SAMPLE_REASONS)
RESULTS = ("new", "duplicate", "conflict", *REASONS)


def render_metrics(
    requests: Mapping[int, int], results: Mapping[str, int], writer: Writer, samples: Mapping[str, int] | None = None
) -> str:
    """Requests by status, reports (and samples, where they are taken) by what became of them, failed writes, how many wait."""
    lines = ["# TYPE edgeship_requests_total counter"]
    lines += [f'edgeship_requests_total{{status="{status}"}} {count}' for status, count in sorted(requests.items())]
    lines += ["# TYPE edgeship_reports_total counter"]
    lines += [f'edgeship_reports_total{{result="{name}"}} {results.get(name, 0)}' for name in RESULTS]
    if samples is not None:
        lines += ["# TYPE edgeship_samples_total counter"]
        lines += [f'edgeship_samples_total{{result="{name}"}} {samples.get(name, 0)}' for name in SAMPLE_RESULTS]
    lines += ["# TYPE edgeship_write_failures_total counter", f"edgeship_write_failures_total {writer.failures}"]
    lines += ["# TYPE edgeship_reports_waiting gauge", f"edgeship_reports_waiting {writer.waiting}"]
    return "\n".join(lines) + "\n"
