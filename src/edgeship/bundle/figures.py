"""What a measurement is made of: every figure of an artifact on a runtime and device, as a bundle's manifest holds them.

A value that could not be had has an availability and a reason. Bounds stand in the types: a manifest may be a stranger's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from numbers import Real
from typing import Annotated, Any, Self

from msgspec import Meta

from edgeship.types import Availability, Kind, check_type

LARGEST = 1e300  # of figures: larger ones are infinite in percent, which no JSON holds
DIGEST = r"^[0-9A-Za-z]{64}$"
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Digest = Annotated[str, Meta(pattern=DIGEST)]


@dataclass(frozen=True)
class Metric:
    """One figure with its unit and kind; a missing value has an availability that says in a word why, and a reason."""

    name: str
    value: Number | None
    unit: str
    kind: Kind = Kind.MEASURED
    availability: Availability = Availability.AVAILABLE
    reason: str = ""

    def __post_init__(self) -> None:
        for name, text in (("name", self.name), ("unit", self.unit), ("reason", self.reason)):
            check_type(f"a metric's {name}", text, str)
        check_type(self.name, self.value, Real, type(None))
        if self.value is None and not self.reason:
            raise ValueError(f"{self.name}: a missing value needs a reason")
        if (self.value is None) == (self.availability is Availability.AVAILABLE):
            raise ValueError(f"{self.name}: {self.availability} does not fit the value {self.value}")


def missing_metrics(units: Mapping[str, str], availability: Availability, reason: str) -> list[Metric]:
    """The metrics of a figure that could not be taken, by name with their units."""
    return [Metric(name, None, unit, availability=availability, reason=reason) for name, unit in units.items()]


@dataclass(frozen=True)
class OutputParity:
    """How near one output of an artifact is to the server model's, over `n` samples, after dequantization.

    Errors are in the output's unit, `sqnr_db` within +-200. `agreement`: the share of `agreement_n` answers that are the same,
    with its 95 % interval; None for outputs that are no answers. `bad`, `bad_server`: values that are NaN or infinite; with
    any, and for errors beyond all numbers, there are no figures and a `reason`. `whole`: the values are whole numbers.
    """

    reason: str
    n: Count = 0
    bad: Count = 0
    bad_server: Count = 0
    whole: bool = False
    max_abs_error: Number | None = None
    mean_abs_error: Number | None = None
    cosine: Number | None = None
    sqnr_db: Number | None = None
    agreement: Number | None = None
    agreement_low: Number | None = None
    agreement_high: Number | None = None
    agreement_n: Count | None = None


@dataclass(frozen=True)
class ClassAccuracy:
    """The accuracy of one class, as shares of its `n` samples, with the paired interval of the drop and its p-values."""

    label: Count
    drop: Number
    low: Number
    high: Number
    server: Number
    artifact: Number
    significant: bool
    n: Count = 0
    p: Number | None = None
    p_holm: Number | None = None


@dataclass(frozen=True)
class SureFlips:
    """How many of the `n` answers that the server model is sure of are others, and their share with its 95 % interval."""

    n: Count
    flips: Count
    share: Number
    low: Number
    high: Number


@dataclass(frozen=True)
class FlippedSample:
    """A sample that the two models answer differently: its place in the data, and classes with their probabilities."""

    index: Count
    label: int
    server: int
    artifact: int
    server_confidence: Number
    artifact_confidence: Number | None = None


@dataclass(frozen=True)
class OutputAccuracy:
    """The task metric of one output of both models on the same `n` samples.

    `value` is the artifact's, `server` the server model's, `drop` is positive where the artifact is worse and has a paired
    95 % interval by `method`; `share`: figures are between 0 and 1. `disagreement`: the share of samples that score
    differently. `flips` are the first 200 of `flips_total`. Without figures the `reason` says why.
    """

    metric: str = ""
    share: bool = False
    higher_is_better: bool = True
    n: Count = 0
    value: Number | None = None
    server: Number | None = None
    drop: Number | None = None
    low: Number | None = None
    high: Number | None = None
    disagreement: Number | None = None
    ece: Number | None = None
    ece_server: Number | None = None
    flips_total: Count | None = None
    sure_flips: SureFlips | None = None
    per_class: tuple[ClassAccuracy, ...] = ()
    flips: tuple[FlippedSample, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    method: str = ""


@dataclass(frozen=True)
class AccuracyReport(OutputAccuracy):
    """The comparison of the output that lost most, which tables show, and those of all labelled outputs by name."""

    output: str = ""
    outputs: Mapping[str, OutputAccuracy] = field(default_factory=dict)

    @classmethod
    def of_outputs(cls, outputs: Mapping[str, OutputAccuracy], worst: str) -> Self:
        """The report of all `outputs`, of which `worst` lost most."""
        shown = {item.name: getattr(outputs[worst], item.name) for item in fields(OutputAccuracy)}
        return cls(**shown, output=worst, outputs=outputs)


@dataclass(frozen=True)
class ServerAccuracy:
    """The server model's own figure on the evaluation data, of the output that is named."""

    metric: str = ""
    share: bool = False
    higher_is_better: bool = True
    n: Count = 0
    server: Number | None = None
    ece_server: Number | None = None
    output: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()


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
class SampleSubset:
    """How many samples were run, of how many, and the seconds that the device gives for them."""

    n: Count
    of: Count
    stratified: bool = False
    seconds: Number | None = None


@dataclass(frozen=True)
class BitExactness:
    """The raw outputs of a device beside this machine's: `differ` of `values` are not the same to the bit.

    `max_steps` is the largest difference of quantized outputs in units of the last place, `steps` how many values have which.
    `agreement` and `max_abs_error` are of the outputs as real numbers. Nothing was compared where `values` is None: `reason`
    says why, `explanation` what that means.
    """

    values: Count | None = None
    differ: Count = 0
    exact: bool = False
    max_steps: Count | None = None
    steps: Mapping[str, Count] = field(default_factory=dict)
    max_abs_error: Number | None = None
    agreement: Number | None = None
    reason: str = ""
    explanation: str = ""
    against: str = ""


@dataclass(frozen=True)
class InstructionCount:
    """Instructions of one inference, by class, and their ratio to those of `against`.

    `counts` are the totals of single runs, `spread` their range; `kernels`: which kind does most of the multiplying.
    """

    total: int
    classes: Mapping[str, int] = field(default_factory=dict)
    kernels: str = ""
    spread: int = 0
    counts: tuple[int, ...] = ()
    against: str = ""
    ratio: Number | None = None


@dataclass(frozen=True)
class NpuEstimate:
    """What the compiler of an NPU says of an artifact; nothing was run. Only a `reason` where it does not compile.

    `npu_op_share`: operators on the NPU, of all after the compiler's own rewriting. `flash_bytes`: weights and code.
    """

    reason: str = ""
    npu_ops: Count = 0
    cpu_ops: Count = 0
    npu_op_share: Number | None = None
    cycles: Number | None = None
    sram_bytes: Number | None = None
    flash_bytes: Number | None = None
    macs: Number | None = None
    inferences_per_second: Number | None = None
    clock_hz: Number | None = None


class CellState(StrEnum):
    """What a cell of the parity matrix may be, from best to worst; ESTIMATED and what follows it were not compared."""

    EXACT = "exact"
    STEPS = "steps"
    CLOSE = "close"
    DIFFERS = "differs"
    ESTIMATED = "estimated"
    REFUSED = "refused"
    ABSENT = "absent"
    FAILED = "failed"


NOT_COMPARED = (CellState.REFUSED, CellState.ABSENT, CellState.FAILED)


@dataclass(frozen=True)
class Cell:
    """An artifact on a device in the parity matrix: its state in a word, the text that is shown, and why."""

    state: CellState
    text: str
    reason: str
    kind: Kind | None = None
    runtime: str = ""
    explanation: str = ""
    samples: Count | None = None
    of: Count | None = None
    instructions: InstructionCount | None = None
    compiler: NpuEstimate | None = None


@dataclass(frozen=True)
class ParityMatrix:
    """The cells of the devices that have some: `cells[artifact][device]`."""

    devices: tuple[str, ...] = ()
    kinds: Mapping[str, Kind | None] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    cells: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)


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


@dataclass(frozen=True)
class FormatParity:
    """How near one artifact is to that of another format, by output."""

    artifact: str
    against: str
    parity: Mapping[str, OutputParity]


@dataclass(frozen=True)
class CandidateFigures:
    """The model's outputs with a trial file: worst SQNR (dB) and agreement, the metric's `value` and `drop`.

    `drop` is positive where the file is worse, in the metric's unit (`share`: 0 to 1); None without labels.

    `metric` and `share` as in `OutputAccuracy`, None without labels. Where a file could not be made or run there is a
    `reason` and no figure; `runs`: it was made.
    """

    sqnr_db: Number | None = None
    agreement: Number | None = None
    value: Number | None = None
    drop: Number | None = None
    metric: str | None = None
    share: bool | None = None
    reason: str = ""
    runs: bool = True


@dataclass(frozen=True)
class LayerErrors:
    """What a layer costs: its own output in the quantized file against the float one, and the model's outputs.

    `only_layer_int8`: with nothing but this layer quantized; `only_layer_float`: with nothing but this layer left in float.
    """

    name: str
    operators: tuple[str, ...] = ()
    weight_bytes: Count = 0
    sqnr_db: Number | None = None
    mse: Number | None = None
    cosine: Number | None = None
    only_layer_int8: CandidateFigures = field(default_factory=CandidateFigures)
    only_layer_float: CandidateFigures = field(default_factory=CandidateFigures)


@dataclass(frozen=True)
class LayerSensitivity:
    """What each layer of an int8 artifact costs, over so many samples; `content` is the digest of what was examined."""

    artifact: str
    content: Digest
    samples: Count
    float32: CandidateFigures
    quantized: CandidateFigures
    layers: tuple[LayerErrors, ...] = ()
