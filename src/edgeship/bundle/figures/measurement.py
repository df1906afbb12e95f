"""What a measurement is made of: every figure of an artifact on a runtime and device, as a bundle's manifest holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from edgeship.bundle.figures.comparisons import AccuracyReport, OutputParity
from edgeship.bundle.figures.device_figures import BitExactness, Cell, InstructionCount, NpuEstimate, SampleSubset
from edgeship.bundle.metric import Count, Digest, Metric, Number
from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class FileSizes:
    """Bytes on disk, and packed as web servers do."""

    disk: Count
    gzip: Count
    brotli: Count


@dataclass(frozen=True)
class ArtifactSizes:
    """The bytes of an artifact, summed over its files, and each file's by relative name."""

    disk: Count
    gzip: Count
    brotli: Count
    files: Mapping[str, FileSizes] = field(default_factory=dict)


@dataclass(frozen=True)
class Histogram:
    """The shape of latencies: `edges` in ms are one more than `counts`."""

    edges: tuple[Number, ...] = ()
    counts: tuple[Count, ...] = ()


@dataclass(frozen=True)
class Throttling:
    """How many times slower a browser's processor was asked to look, and how many times slower the model became by it."""

    asked: Number
    model: Number | None = None


@dataclass(frozen=True)
class LatencySummary:
    """Latencies of `n` single queries in ms, who sent them (`engine`) and what the runtime ran on.

    `early_stopping_p90_ms` is LoadGen's own estimate. `runs_on` is what a runtime says of itself, in its own words. In a
    browser a sample may be the mean of `queries_per_sample`, and the processor throttled.
    """

    n: Count | None = None
    mean_ms: Number | None = None
    min_ms: Number | None = None
    p50_ms: Number | None = None
    p90_ms: Number | None = None
    p99_ms: Number | None = None
    p90_early_stopping_ms: Number | None = None
    early_stopping_p90_ms: Number | None = None
    histogram: Histogram | None = None
    threads: Count | None = None
    profile: str = ""
    runs_on: Mapping[str, Any] = field(default_factory=dict)
    engine: str = ""
    valid: bool | None = None
    reason: str = ""
    queries_per_sample: Count | None = None
    throttle: Throttling | None = None


@dataclass(frozen=True)
class MemoryUse:
    """Resident memory of the worker in bytes: the peak since the runtime was imported, and what it held then.

    `engine_bytes`: of them in a page, what the engine itself says that it holds.
    """

    peak_bytes: Count | None = None
    baseline_bytes: Count | None = None
    method: str = ""
    engine_bytes: Count | None = None


@dataclass(frozen=True)
class OperatorTime:
    """An operator as a profiler saw it: the tensor or node that `name`s it in the file, its `kind` there, the runtime's `kernel`.

    `ms` per sample, `low_ms` to `high_ms` its range over the runs and what the clock cuts off; `share` of all operators' time.
    None where it is below the clock, or (not `share`) on a busy machine. `layers` are the Keras layers that it came from,
    `reads` the tensor that it works on. Name and kind are empty where a delegate's operator is none of the file's.
    """

    name: str
    kind: str
    kernel: str
    ms: Number | None
    layers: tuple[str, ...] = ()
    reads: str = ""
    low_ms: Number | None = None
    high_ms: Number | None = None
    share: Number | None = None


@dataclass(frozen=True)
class OperatorTimes:
    """The operators of an artifact in the order in which they run, and ms of all of them.

    Means of the `runs` without the lowest and highest tenth, of so many `samples` at once. The clock may have cut off
    `clock_error` of the time of all. `busy`: why the machine was not quiet; then only shares say something.
    """

    operators: tuple[OperatorTime, ...]
    total_ms: Number | None
    runs: Count
    artifact: str = ""
    runtime: str = ""
    version: str = ""
    threads: Count = 1
    busy: str = ""
    samples: Count = 1
    clock_error: Number = 0.0


@dataclass(frozen=True)
class LatencyRatio:
    """How many times as long an artifact takes as `against`, with its 95 % interval over `pairs` of fresh processes.

    `busy` says why the machine was not quiet enough; `reason` why there is no value.
    """

    value: Number | None = None
    low: Number | None = None
    high: Number | None = None
    pairs: Count = 0
    blocks: Count = 0
    reason: str = ""
    busy: str = ""
    against: str = ""


@dataclass(frozen=True)
class MeasurementDetails:
    """What tables, plots and the gate need beyond the metrics; None where it was not taken.

    `content` is the digest of what was measured. `engine` is what a runtime says of itself, in its own words.
    """

    content: Digest | None = None
    size: ArtifactSizes | None = None
    parity: Mapping[str, OutputParity] | None = None
    accuracy: AccuracyReport | None = None
    evaluation_seconds: Number | None = None
    latency: LatencySummary | None = None
    memory: MemoryUse | None = None
    latency_ratio: LatencyRatio | None = None
    samples: SampleSubset | None = None
    engine: Mapping[str, Any] | None = None
    bit_exactness: BitExactness | None = None
    instructions: InstructionCount | None = None
    compiler: NpuEstimate | None = None
    cell: Cell | None = None


@dataclass(frozen=True)
class Measurement:
    """The figures of one artifact on one runtime and device."""

    artifact: str
    runtime: str
    device: str
    metrics: tuple[Metric, ...]
    details: MeasurementDetails = field(default_factory=MeasurementDetails)

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, or None where it was not taken."""
        return next((metric for metric in self.metrics if metric.name == name), None)
