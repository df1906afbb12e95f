"""Peak resident memory of a fresh worker, through loading and one inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeship.benchmarks.measure import failure_reasons
from edgeship.benchmarks.measure.benchmark import Benchmark, FigureResult, Target
from edgeship.bundle.figures.measurement import MeasurementDetails, MemoryUse
from edgeship.bundle.metric import Metric, missing_metrics
from edgeship.errors import EdgeshipError
from edgeship.typed_json import convert
from edgeship.types import Availability, to_json

UNITS = {"peak_memory_bytes": "bytes"}


def measure(bench: Benchmark, target: Target) -> FigureResult:
    """`peak_memory_bytes`, or why the artifact does not run in the memory that the device has."""

    def make(_: Path) -> dict[str, Any]:
        with target.open(timed=True, threads=target.device.threads) as session:
            session.infer_once()
            return dict(to_json(session.memory()))

    what = f"{target.subject.artifact.id} on {target.place}: memory"
    try:
        usage = convert(MemoryUse, bench.cache_result(what, "memory", target.key(), make).result)
    except EdgeshipError as error:
        return FigureResult(
            missing_metrics(UNITS, Availability.FAILED, failure_reasons.describe_failure(str(error), target.launcher))
        )
    return FigureResult(peak_metrics(usage), MeasurementDetails(memory=usage))


def peak_metrics(usage: MemoryUse) -> list[Metric]:
    """The peak, or why the system does not tell it."""
    if usage.peak_bytes is None:
        return missing_metrics(UNITS, Availability.UNDEFINED, usage.method)
    return [Metric("peak_memory_bytes", usage.peak_bytes, "bytes")]
