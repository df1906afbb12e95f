"""Takes every figure of every artifact on every device: alone where this machine's times are taken, else side by side.

What could not be measured is a metric without a value that says why, and on a compared device a cell with its reason: nothing
is left out, nothing is made up, and nothing ends the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

from edgeship.benchmarks.compare import parity_matrix
from edgeship.benchmarks.measure import instructions, latency_ratio, memory, npu_estimates, quality, size, speed
from edgeship.benchmarks.measure.benchmark import (
    NOT_RUN,
    Benchmark,
    FigureResult,
    MeasuredArtifact,
    Target,
)
from edgeship.bundle.figures.device_figures import Cell, CellState
from edgeship.bundle.figures.measurement import ArtifactSizes, Measurement, MeasurementDetails
from edgeship.bundle.metric import Metric, missing_metrics
from edgeship.devices.profiles import Device
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher, selfcheck
from edgeship.runtimes.worker_pool import Pool
from edgeship.typed_json import convert
from edgeship.types import Availability, to_json

# What takes the figures that a profile names.
FIGURES: Mapping[str, tuple[Callable[[Benchmark, Target], FigureResult], ...]] = {
    "quality": (quality.measure,),
    "speed": (speed.measure, latency_ratio.measure),
    "latency": (speed.measure,),
    "memory": (memory.measure,),
    "instructions": (instructions.measure,),
    "compiler": (npu_estimates.measure,),
}


@dataclass(frozen=True)
class Job:
    """An artifact on a device, with those of the device's runtimes that take it."""

    subject: MeasuredArtifact
    runtimes: Sequence[registry.Runtime]
    device: Device


def measure_all(bench: Benchmark, jobs: Sequence[Job]) -> list[list[Measurement]]:
    """The measurements of each job: first, one after the other, where this machine's times are taken, then the others."""
    results: dict[int, list[Measurement]] = {}
    beside: dict[int, Job] = {}
    for index, job in enumerate(jobs):
        if _runs_alone(job.device):
            results[index] = measure(bench, job)
        else:
            beside[index] = job
    if beside:
        with Pool() as bench.pool, ThreadPoolExecutor(os.cpu_count()) as executor:
            results |= zip(beside, executor.map(lambda job: measure(bench, job), beside.values()), strict=True)
        bench.pool = None
    return [results[index] for index in range(len(jobs))]


def _runs_alone(device: Device) -> bool:
    launcher = find_launcher(device)
    return not launcher.compared_with_host or (
        launcher.uses_host_time and bool({"speed", "latency"} & set(device.figures))
    )


def measure(bench: Benchmark, job: Job) -> list[Measurement]:
    """All figures that a device gives of one artifact, one measurement for each of the job's runtimes."""
    launcher = find_launcher(job.device)
    if launcher.compared_with_host and not job.runtimes:
        cell = parity_matrix.not_run_cell(CellState.REFUSED, f"it takes {_accepted_files(job.device)}")
        return [_not_run(bench, job.subject, job.device, cell)]
    if launcher.compared_with_host and (reason := launcher.unavailable_reason()):
        cell = parity_matrix.not_run_cell(CellState.ABSENT, f"{reason}; {launcher.hint}")
        return [_not_run(bench, job.subject, job.device, cell)]
    return [_measure_or_refuse(bench, Target(job.subject, runtime, launcher)) for runtime in job.runtimes]


def _measure_or_refuse(bench: Benchmark, target: Target) -> Measurement:
    """All figures of an artifact on one runtime, or why none of them is taken."""
    subject, launcher, device = target.subject, target.launcher, target.device
    if reason := subject.receipt.refusal or launcher.refusal(target.runtime, subject.artifact):
        if launcher.compared_with_host:
            return _not_run(bench, subject, device, parity_matrix.not_run_cell(CellState.ABSENT, reason))
        units = {**quality.UNITS, **speed.UNITS, **latency_ratio.UNITS}
        figures = FigureResult(missing_metrics(units, Availability.NOT_RUN, f"{NOT_RUN}{reason}"))
    elif reason := _selfcheck_failure(bench, target):
        return _not_run(bench, subject, device, parity_matrix.not_run_cell(CellState.FAILED, reason))
    else:
        figures = _take_figures(bench, target)
    metrics = [replace(metric, kind=device.kind) for metric in figures.metrics]
    result = _measure_sizes(bench, subject).join(replace(figures, metrics=metrics))
    details = result.details
    if launcher.compared_with_host:
        details = replace(details, cell=replace(parity_matrix.cell_of(details), kind=device.kind))
    return Measurement(subject.artifact.id, target.runtime.name, device.name, tuple(result.metrics), details)


def _measure_sizes(bench: Benchmark, subject: MeasuredArtifact) -> FigureResult:
    """What an artifact weighs, wherever it runs: taken once, however many devices it runs on."""
    with bench.sizes_lock:
        if subject.digest not in bench.sizes:
            what, key = f"{subject.artifact.id}: size", {"artifact": subject.digest}
            entry = bench.cache_result(what, "size", key, lambda _: to_json(size.measure(subject.artifact.path)))
            bench.sizes[subject.digest] = convert(ArtifactSizes, entry.result)
        sizes = bench.sizes[subject.digest]
    metrics = [Metric(f"size_{kind}_bytes", getattr(sizes, kind), "bytes") for kind in size.KINDS]
    metrics.append(Metric("parameters", subject.receipt.weights.elements, "values"))
    return FigureResult(metrics, MeasurementDetails(content=subject.digest, size=sizes))


def _take_figures(bench: Benchmark, target: Target) -> FigureResult:
    result = FigureResult()
    wanted = bench.settings.figures
    for figure in target.device.figures:
        for take in FIGURES[figure] if wanted is None or figure in wanted else ():
            result = result.join(take(bench, target))
    return result


def _not_run(bench: Benchmark, subject: MeasuredArtifact, device: Device, cell: Cell) -> Measurement:
    """The measurement of what was not started on a compared device."""
    missing = missing_metrics(quality.UNITS, Availability.NOT_RUN, f"{NOT_RUN}{cell.reason}")
    details = MeasurementDetails(cell=replace(cell, kind=device.kind))
    result = _measure_sizes(bench, subject).join(FigureResult(missing, details))
    return Measurement(subject.artifact.id, "", device.name, tuple(result.metrics), result.details)


def _selfcheck_failure(bench: Benchmark, target: Target) -> str | None:
    """Why an emulator's outputs are not believed: it does not give the known outputs of the known model."""
    launcher, runtime = target.launcher, target.runtime
    if not launcher.emulates or selfcheck.known_model(runtime.name) is None:
        return None
    key = {"device": target.device, "runtime": launcher.identity(runtime.name)}
    what = f"{target.device.name}: known outputs on {runtime.name}"
    finding = bench.cache_result(
        what, "doctor", key, lambda _: asdict(selfcheck.examine_runtime(launcher, runtime.name, bench.pool))
    ).result
    return f"refused, {finding['wrong']}" if finding["wrong"] else None


def _accepted_files(device: Device) -> str:
    formats = sorted({item for name in device.runtimes for item in registry.find(name).formats})
    return f"{' and '.join(f'.{name}' for name in formats)} files only"
