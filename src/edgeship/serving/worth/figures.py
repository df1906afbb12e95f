"""What a bundle knows of both sides: which artifact runs there, how late it answers on which device, and how right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.types import Kind, TensorSpec, Verdict

HOST = "host"
PERCENTILES = (0.0, 0.5, 0.9, 0.99)  # whose figures a bundle has
MOST_MS = 1e9  # that may be a time
MOST_BYTES = 10**12  # of an inference: shapes may be anything
HTTP_BYTES = (
    300  # of the heads of a question or an answer, JSON of the protocol included: what small servers and clients send
)


@dataclass(frozen=True)
class DeviceLatency:
    """What an artifact takes on a device, in ms; without times the `reason`."""

    artifact: str
    runtime: str
    device: str
    kind: Kind | None
    p50_ms: float | None = None
    p99_ms: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class AccuracyOf:
    """An artifact's task metric beside the server model's, and its drop with a 95 % interval; without figures the `reason`."""

    artifact: str
    metric: str = ""
    value: float | None = None
    server: float | None = None
    drop: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    kind: Kind | None = None
    reason: str = ""


@dataclass(frozen=True)
class ServerTimes:
    """A server's own times in ms, without a network, as samples; and what an inference sends, receives and occupies.

    `vcpu_rate`: inferences a second of one virtual processor. `source` says where they come from; without times, the `reason`.
    """

    samples_ms: tuple[float, ...] = ()
    kind: Kind | None = None
    source: str = ""
    bytes_up: int = 0
    bytes_down: int = 0
    bytes_kind: Kind = Kind.ESTIMATED
    vcpu_rate: float | None = None
    rate_source: str = ""
    reason: str = ""


def passes_gate(manifest: Manifest, artifact: str) -> bool:
    """Whether the gate lets an artifact ship: it passes, and so does what concerns the whole bundle."""
    gate = manifest.gate
    if gate is None or any(not check.artifact and check.verdict is not Verdict.PASS for check in gate.checks):
        return False
    return gate.verdict_on(artifact) is Verdict.PASS


def device_latencies(manifest: Manifest) -> tuple[DeviceLatency, ...]:
    """What each artifact that apps or pages can have takes on each device of the bundle; on servers see `served_artifact`."""
    return tuple(
        _device_latency(item)
        for item in manifest.measurements
        if (entry := manifest.artifact(item.artifact)) and _is_for_clients(entry) and item.metric("latency_p99_ms")
    )


def first_for_clients(manifest: Manifest) -> ArtifactEntry | None:
    """The first artifact for apps or pages, where none was measured."""
    return next(filter(_is_for_clients, manifest.artifacts), None)


def _is_for_clients(entry: ArtifactEntry) -> bool:
    return not formats.find(entry.format).installed


def _device_latency(item: Measurement) -> DeviceLatency:
    p50, p99 = (item.metric(f"latency_{name}_ms") for name in ("p50", "p99"))
    found = [float(metric.value) for metric in (p50, p99) if metric and metric.value is not None]
    values = [value for value in found if 0 < value < MOST_MS]
    if p99 is None or len(values) < 2:
        reason = (p99.reason if p99 else "") or "not measured"
        return DeviceLatency(item.artifact, item.runtime, item.device, p99.kind if p99 else None, reason=reason)
    return DeviceLatency(item.artifact, item.runtime, item.device, p99.kind, values[0], values[1])


def served_artifact(manifest: Manifest) -> ArtifactEntry | None:
    """What a server would run: what the gate recommends for servers, else one for servers that passes, else any that does."""
    entries = sorted(manifest.artifacts, key=lambda item: (_is_for_clients(item), item.variant != "float32"))
    recommended = [item.artifact for item in manifest.gate.recommended] if manifest.gate else []
    wanted = [item for item in entries if item.id in recommended and not _is_for_clients(item)]
    passing = [item for item in entries if passes_gate(manifest, item.id)]
    return next(iter([*wanted, *passing, *entries]), None)


def times_in_bundle(manifest: Manifest, artifact: ArtifactEntry, http_ms: float) -> ServerTimes:
    """A server's times as far as the bundle tells: the artifact's own on this machine, and `http_ms` for what is around it."""
    up, down = payload_bytes(artifact.inputs), payload_bytes(artifact.outputs)
    reason = f"{artifact.id} was not timed on this machine"
    for item in manifest.measurements_of(artifact.id):
        summary = item.details.latency
        p99 = item.metric("latency_p99_ms")
        if item.device != HOST or p99 is None:
            continue
        figures = [] if summary is None else [summary.min_ms, summary.p50_ms, summary.p90_ms, p99.value]
        known = [float(value) for value in figures if value is not None]
        if len(known) < len(PERCENTILES) or known != sorted(known) or not 0 < known[0] <= known[-1] < MOST_MS:
            reason = p99.reason or reason
            continue
        samples = tuple(value + http_ms for value in spread_percentiles(known))
        source = f"{artifact.id} on {item.runtime}, and {http_ms:g} ms assumed for HTTP and a server around it"
        rate = 1000.0 * len(samples) / sum(samples)
        return ServerTimes(
            samples, Kind.ESTIMATED, source, up, down, vcpu_rate=rate, rate_source="its mean time, estimated"
        )
    return ServerTimes(bytes_up=up, bytes_down=down, reason=reason)


def spread_percentiles(figures: Sequence[float], count: int = 400) -> tuple[float, ...]:
    """Samples that have the least value, median, p90 and p99 given; straight lines between, and p99 to the end."""
    places = (np.arange(count) + 0.5) / count
    return tuple(map(float, np.interp(places, PERCENTILES, figures)))


def payload_bytes(specs: Sequence[TensorSpec]) -> int:
    """About what one sample's tensors take in a question or answer, as bytes and not as JSON numbers."""
    sizes = (math.prod(size or 1 for size in spec.shape[1:]) * np.dtype(spec.dtype).itemsize for spec in specs)
    return min(HTTP_BYTES + sum(sizes), MOST_BYTES)


def accuracy_of(manifest: Manifest, artifact: str) -> AccuracyOf:
    """An artifact's accuracy on this machine, else wherever it was taken."""
    reason = "not measured"
    for item in sorted(manifest.measurements_of(artifact), key=lambda item: item.device != HOST):
        report = item.details.accuracy
        if report is None or report.value is None:
            reason = (report.reason if report else "") or reason
            continue
        kind = next((metric.kind for metric in item.metrics if metric.name.startswith(report.metric)), Kind.MEASURED)
        return AccuracyOf(
            artifact, report.metric, report.value, report.server, report.drop, report.low, report.high, report.n, kind
        )
    return AccuracyOf(artifact, reason=reason)


def download_bytes(manifest: Manifest, artifact: str) -> int | None:
    """What a user downloads of an artifact: brotli-compressed, as web servers and stores do."""
    values: Iterator[int] = (
        int(metric.value)
        for item in manifest.measurements_of(artifact)
        if (metric := item.metric("size_brotli_bytes")) and metric.value is not None
    )
    return next(values, None)
