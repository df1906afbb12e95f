"""What the compiler of an NPU estimates: nothing of it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeship.benchmarks.measure import failure_reasons
from edgeship.benchmarks.measure.benchmark import Benchmark, FigureResult, Target
from edgeship.bundle.figures.device_figures import NpuEstimate
from edgeship.bundle.figures.measurement import MeasurementDetails
from edgeship.bundle.metric import Metric, missing_metrics
from edgeship.errors import EdgeshipError, InputError
from edgeship.runtimes.launchers.vela import VelaCompiler
from edgeship.typed_json import convert
from edgeship.types import Availability, to_json

UNITS = {
    "npu_op_share": "share",
    "cycles": "cycles",
    "sram_bytes": "bytes",
    "flash_bytes": "bytes",
    "inferences_per_second": "1/s",
}
NOT_ON_NPU = "no operator can run on the NPU: it computes in integers, and this artifact's operators are float"


def measure(bench: Benchmark, target: Target) -> FigureResult:
    """The share of operators on the NPU, cycles, memory and rate. Raises InputError for a device without such a compiler."""
    compiler, subject = target.launcher, target.subject
    if not isinstance(compiler, VelaCompiler):
        raise InputError(f'device {target.device.name}: only how = "vela" estimates, in [launch]')
    if reason := subject.latency_exclusion_reason:
        return _no_estimate(Availability.UNDEFINED, reason)

    def make(_: Path) -> dict[str, Any]:
        return dict(to_json(compiler.estimate(subject.artifact.path)))

    try:
        what = f"{subject.artifact.id} for {target.place}: compiled"
        estimate = convert(NpuEstimate, bench.cache_result(what, "compiler", target.key(), make).result)
    except EdgeshipError as error:
        return _no_estimate(Availability.FAILED, failure_reasons.shorten_message(str(error)))
    metrics = []
    for name, unit in UNITS.items():
        if name == "npu_op_share" or estimate.npu_ops:
            metrics.append(Metric(name, getattr(estimate, name), unit))
        else:
            metrics += missing_metrics({name: unit}, Availability.UNDEFINED, NOT_ON_NPU)
    return FigureResult(metrics, MeasurementDetails(compiler=estimate))


def _no_estimate(availability: Availability, reason: str) -> FigureResult:
    metrics = missing_metrics(UNITS, availability, reason)
    return FigureResult(metrics, MeasurementDetails(compiler=NpuEstimate(reason=reason)))
