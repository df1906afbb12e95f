"""Figures of an artifact on a device that is not simply this machine: older runtimes, emulated boards, compilers.

Its outputs are compared twice: with the server model, as everywhere, and with this machine's outputs of the same artifact,
which tells whether the device computes otherwise. What could not run is a cell with its reason, never the end of the run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np

from edgeship.benchmarks.compare import accuracy, bit_exactness, parity, parity_matrix
from edgeship.benchmarks.measure import failure_reasons, instructions, on_host, sampling
from edgeship.bundle.figures import (
    AccuracyReport,
    BitExactness,
    Cell,
    CellState,
    Measurement,
    MeasurementDetails,
    Metric,
    OutputAccuracy,
    missing_metrics,
)
from edgeship.data import Array
from edgeship.devices.profiles import Device
from edgeship.errors import EdgeshipError, InputError, ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher, selfcheck
from edgeship.runtimes.launchers.launcher import InstructionCounter, Launcher
from edgeship.runtimes.launchers.vela import VelaCompiler
from edgeship.runtimes.session import Session, open_session
from edgeship.runtimes.worker_pool import Pool
from edgeship.typed_json import convert
from edgeship.types import Availability, to_json

TIMEOUT = 300.0  # seconds that a worker may stay silent, loading a model under emulation included
PROBE, PROBE_SECONDS = 32, 0.5
BATCH_SECONDS = 5.0  # a slow device answers at least this often, so that a hung one is noticed

INSTRUCTIONS = {"instructions": "instructions", "instructions_ratio": "x"}
ESTIMATES = {
    "npu_op_share": "share",
    "cycles": "cycles",
    "sram_bytes": "bytes",
    "flash_bytes": "bytes",
    "inferences_per_second": "1/s",
}
NOT_ON_NPU = "no operator can run on the NPU: it computes in integers, and this artifact's operators are float"
WAYS = ("environment", "qemu", "vela", "ssh", "adb")
FigureResult = tuple[list[Metric], dict[str, Any]]


def belongs(device: Device) -> bool:
    """Whether a device's figures are taken here, and not by `on_host.Benchmark.measure`."""
    return device.how in WAYS or "memory" in device.launch


@dataclass(frozen=True)
class Job:
    """An artifact on a device, with those of the device's runtimes that take it."""

    subject: on_host.MeasuredArtifact
    runtimes: Sequence[registry.Runtime]
    device: Device


def measure_all(bench: on_host.Benchmark, jobs: Sequence[Job]) -> list[list[Measurement]]:
    """The measurements of each job, side by side over the cores; no time that is taken here is shown to anybody."""
    if not jobs:
        return []
    with Pool() as bench.pool, ThreadPoolExecutor(os.cpu_count()) as executor:
        return list(executor.map(lambda job: measure(bench, job.subject, job.runtimes, job.device), jobs))


def measure(
    bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, runtimes: Sequence[registry.Runtime], device: Device
) -> list[Measurement]:
    """All figures that a device gives of one artifact, one measurement for each of its `runtimes` that take it."""
    place = find_launcher(device)
    if not runtimes:
        return [
            _idle(bench, subject, device, parity_matrix.not_run_cell(CellState.REFUSED, f"it takes {_taken(device)}"))
        ]
    if reason := place.unavailable():
        return [_idle(bench, subject, device, parity_matrix.not_run_cell(CellState.ABSENT, f"{reason}; {place.hint}"))]
    return [_taken_on(bench, subject, runtime, place) for runtime in runtimes]


def _idle(bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, device: Device, cell: Cell) -> Measurement:
    """The measurement of what was not started."""
    metrics, details = bench.size(subject)
    units = {**on_host.QUALITY, **on_host.PARITY}
    metrics += missing_metrics(units, Availability.NOT_RUN, f"{on_host.NOT_RUN}{cell.reason}")
    typed = replace(convert(MeasurementDetails, details), cell=replace(cell, kind=device.kind))
    return Measurement(subject.artifact.id, "", device.name, tuple(metrics), typed)


def _taken_on(
    bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, runtime: registry.Runtime, place: Launcher
) -> Measurement:
    if wrong := _wrong(bench, runtime, place):
        return _idle(bench, subject, place.device, parity_matrix.not_run_cell(CellState.FAILED, wrong))
    metrics, details = bench.size(subject)
    taken: list[Metric] = []
    for figure in place.device.figures:
        more, found = FIGURES[figure](bench, subject, runtime, place)
        taken += more
        details |= found
    metrics += [replace(metric, kind=place.device.kind) for metric in taken]
    typed = convert(MeasurementDetails, details)
    typed = replace(typed, cell=replace(parity_matrix.cell_of(typed), kind=place.device.kind))
    return Measurement(subject.artifact.id, runtime.name, place.device.name, tuple(metrics), typed)


def _wrong(bench: on_host.Benchmark, runtime: registry.Runtime, place: Launcher) -> str:
    """Why an emulator's outputs are not believed; empty where it gives the known outputs of the known model."""
    if place.device.how != "qemu" or runtime.name not in selfcheck.MODELS:
        return ""
    key = {"device": place.device, "runtime": place.identity(runtime.name)}

    def make() -> dict[str, Any]:
        return asdict(selfcheck.examine(place, runtime.name, bench.pool))

    found = bench.cached(f"{place.device.name}: known outputs on {runtime.name}", "doctor", key, make)
    return f"refused, {found['wrong']}" if found["wrong"] else ""


def _taken(device: Device) -> str:
    formats = sorted({item for name in device.runtimes for item in registry.find(name).formats})
    return f"{' and '.join(f'.{name}' for name in formats)} files only"


def _quality(
    bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, runtime: registry.Runtime, place: Launcher
) -> FigureResult:
    units = {**on_host.QUALITY, **on_host.PARITY}
    reference, device = bench.reference, place.device
    if reference is None:
        return missing_metrics(units, Availability.NO_DATA, on_host.NO_DATA), {
            "bit_exactness": {"reason": on_host.NO_DATA}
        }
    here = registry.for_format(subject.artifact.format)[0]
    key = {
        "artifact": subject.digest,
        "device": device,
        "runtime": place.identity(runtime.name),
        "here": here.identity(),
        "reference": reference.digest,
        "data": reference.data.digest,
        "limit": reference.limit,
        "metric": bench.settings.metric,
    }
    what = f"{subject.artifact.id} on {device.name}: outputs"
    try:
        details = bench.cached(what, "device", key, lambda: _recorded(bench, subject, runtime, place, here, reference))
    except InputError:
        raise
    except EdgeshipError as error:  # killed, hung or not installed: not a property of the artifact, so not kept
        reason = failure_reasons.limited(str(error), device)
        return missing_metrics(units, Availability.FAILED, str(error)), {"bit_exactness": {"reason": reason}}
    if failure := details.get("failure"):
        return missing_metrics(units, Availability.FAILED, failure["reason"]), {"bit_exactness": failure}
    return on_host.quality_metrics(convert(MeasurementDetails, details)), details


def _recorded(
    bench: on_host.Benchmark,
    subject: on_host.MeasuredArtifact,
    runtime: registry.Runtime,
    place: Launcher,
    here: registry.Runtime,
    reference: on_host.Reference,
) -> dict[str, Any]:
    """What the device gives, or how it failed: a model that does not load will not load tomorrow either."""
    try:
        return _evaluate(subject, runtime, place, here, reference, bench)
    except InputError:
        raise
    except EdgeshipError as error:
        if isinstance(error, ProcessError) and error.died:
            raise
        return {
            "failure": {
                "reason": failure_reasons.limited(str(error), place.device),
                "explanation": failure_reasons.explain(str(error), place.device),
            }
        }


def _evaluate(
    subject: on_host.MeasuredArtifact,
    runtime: registry.Runtime,
    place: Launcher,
    here: registry.Runtime,
    reference: on_host.Reference,
    bench: on_host.Benchmark,
) -> dict[str, Any]:
    start = time.perf_counter()
    total = len(next(iter(reference.outputs.values())))
    launch, path = place.launch(runtime.name), subject.artifact.path
    with open_session(runtime.name, path, launch=launch, pool=bench.pool, timeout=TIMEOUT) as session:
        pace = _pace(session, reference)
        chosen = sampling.choose(reference.labels, total, sampling.affordable(total, place.device.seconds, pace))
        batch = max(1, min(on_host.batch_size(reference.inputs), int(BATCH_SECONDS / max(pace, 1e-6)), len(chosen)))
        stored = session.stored(sampling.rows(reference.batches(), chosen, batch), batch)
        outputs, engine, version = session.restored(stored), dict(session.engine), session.version
    server = {name: array[chosen] for name, array in reference.outputs.items()}
    details: dict[str, Any] = {
        "parity": to_json(parity.compare(server, outputs)),
        "evaluation_seconds": time.perf_counter() - start,
        "samples": {
            "n": len(chosen),
            "of": total,
            "stratified": "y" in reference.labels,
            "seconds": place.device.seconds,
        },
        "engine": {**engine, "version": version},
    }
    if reference.labels:
        labels = {name: array[chosen] for name, array in reference.labels.items()}
        report = accuracy.measure(labels, server, outputs, bench.settings.metric)
        details["accuracy"] = to_json(renumber_flips(report, chosen))
    details["bit_exactness"] = to_json(_compare_with_host(subject, here, reference, chosen, batch, stored, outputs))
    return details


def _pace(session: Session, reference: on_host.Reference) -> float:
    """Seconds per sample: of a second run, since the first one pays for translation and caches."""
    total = len(next(iter(reference.outputs.values())))
    for count in (1, min(PROBE, total)):  # one sample alone pays for the message too, unless it is slow anyway
        sample = next(sampling.rows(reference.batches(), np.arange(count), count))
        session.run(sample)
        start = time.perf_counter()
        session.run(sample)
        pace = (time.perf_counter() - start) / count
        if pace > PROBE_SECONDS:
            break
    return pace


def renumber_flips(report: AccuracyReport, chosen: Array) -> AccuracyReport:
    """The report with flipped samples by their place in the whole data, not in the subset of the rows `chosen`."""

    def renumber(one: OutputAccuracy) -> OutputAccuracy:
        return replace(one, flips=tuple(replace(flip, index=int(chosen[flip.index])) for flip in one.flips))

    outputs = {name: renumber(one) for name, one in report.outputs.items()}
    return AccuracyReport.of_outputs(outputs, report.output)


def _compare_with_host(
    subject: on_host.MeasuredArtifact,
    here: registry.Runtime,
    reference: on_host.Reference,
    chosen: Array,
    batch: int,
    stored: Mapping[str, Array],
    outputs: Mapping[str, Array],
) -> BitExactness:
    """The device against this machine's usual runtime, on the same samples in the same batches, one thread each."""
    if reason := here.unavailable():
        return BitExactness(reason=f"{here.name} is not here to compare with: {reason}")
    try:
        with open_session(here.name, subject.artifact.path) as session:
            own = session.stored(sampling.rows(reference.batches(), chosen, batch), batch)
            found = bit_exactness.compare_bit_exactness(own, stored, (session.restored(own), outputs))
            return replace(found, against=f"{here.name} {session.version}")
    except EdgeshipError as error:
        return BitExactness(reason=f"this machine gave nothing to compare with: {error}")


def _instructions(
    bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, runtime: registry.Runtime, place: Launcher
) -> FigureResult:
    """Instructions per inference, and the ratio to the float32 artifact of the same format on the same device."""
    counting = cast(InstructionCounter, place)  # profiles whose figures are instructions are started by one
    if subject.without_latency:
        return missing_metrics(INSTRUCTIONS, Availability.UNDEFINED, subject.without_latency), {}
    base = bench.bases.get(subject.artifact.format)
    metrics, details = [], {}
    try:
        found = _counted(bench, subject, runtime, counting)
        details["instructions"] = found
        metrics.append(Metric("instructions", found["total"], "instructions"))
    except EdgeshipError as error:
        reason = failure_reasons.short(str(error))
        return missing_metrics(INSTRUCTIONS, Availability.FAILED, reason), details
    if base is None:
        reason = f"there is no {subject.artifact.format}/float32 to compare with"
        metrics.append(Metric("instructions_ratio", None, "x", availability=Availability.NO_DATA, reason=reason))
    elif base.without_latency:
        metrics.append(
            Metric("instructions_ratio", None, "x", availability=Availability.UNDEFINED, reason=base.without_latency)
        )
    elif base.digest != subject.digest:
        try:
            ratio = found["total"] / _counted(bench, base, runtime, counting)["total"]
            metrics.append(Metric("instructions_ratio", ratio, "x"))
            details["instructions"] = {**found, "against": base.artifact.id, "ratio": ratio}
        except EdgeshipError as error:
            why = f"{base.artifact.id}: {failure_reasons.short(str(error))}"
            metrics.append(Metric("instructions_ratio", None, "x", availability=Availability.FAILED, reason=why))
    return metrics, details


def _counted(
    bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, runtime: registry.Runtime, place: InstructionCounter
) -> dict[str, Any]:
    reference = bench.reference
    data = None if reference is None else [reference.data.digest, reference.limit]
    key = {"artifact": subject.digest, "device": place.device, "runtime": place.identity(runtime.name), "data": data}

    def make() -> dict[str, Any]:
        sample = {} if reference is None else next(sampling.rows(reference.batches(), np.arange(1), 1))
        return instructions.count(place, runtime.name, subject.artifact.path, sample)

    what = f"{subject.artifact.id} on {place.device.name}: instructions"
    counted: dict[str, Any] = bench.cached(what, "instructions", key, make)
    return counted


def _compiled(
    bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, runtime: registry.Runtime, place: Launcher
) -> FigureResult:
    """What the compiler of an NPU estimates: nothing of it was run."""
    compiler = cast(VelaCompiler, place)  # profiles whose figures are a compiler's are started by one
    if subject.without_latency:
        return missing_metrics(ESTIMATES, Availability.UNDEFINED, subject.without_latency), {
            "compiler": {"reason": subject.without_latency}
        }
    key = {"artifact": subject.digest, "device": place.device, "compiler": place.identity(runtime.name)}
    what = f"{subject.artifact.id} for {place.device.name}: compiled"
    try:
        found = bench.cached(what, "compiler", key, lambda: compiler.estimate(subject.artifact.path))
    except EdgeshipError as error:
        reason = failure_reasons.short(str(error))
        return missing_metrics(ESTIMATES, Availability.FAILED, reason), {"compiler": {"reason": reason}}
    found["npu_op_share"] = found["npu_ops"] / max(found["npu_ops"] + found["cpu_ops"], 1)
    metrics = []
    for name, unit in ESTIMATES.items():
        value = found[name] if name == "npu_op_share" or found["npu_ops"] else None
        known = (Availability.AVAILABLE, "") if value is not None else (Availability.UNDEFINED, NOT_ON_NPU)
        metrics.append(Metric(name, value, unit, availability=known[0], reason=known[1]))
    return metrics, {"compiler": found}


def _speed(
    bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, runtime: registry.Runtime, place: Launcher
) -> FigureResult:
    """Times that the device's own worker takes."""
    return bench.speed(subject, runtime, place.device, place.identity(runtime.name))


def _memory(
    bench: on_host.Benchmark, subject: on_host.MeasuredArtifact, runtime: registry.Runtime, place: Launcher
) -> FigureResult:
    """Peak resident memory of a fresh worker, through loading and one inference."""
    key = {"artifact": subject.digest, "device": place.device, "runtime": place.identity(runtime.name)}

    def make() -> dict[str, Any]:
        launch, path = place.launch(runtime.name), subject.artifact.path
        with open_session(runtime.name, path, launch=launch, threads=place.device.threads, timeout=TIMEOUT) as session:
            session.infer_once()
            return session.memory()

    try:
        found = bench.cached(f"{subject.artifact.id} on {place.device.name}: memory", "memory", key, make)
    except EdgeshipError as error:
        reason = failure_reasons.limited(str(error), place.device)
        return missing_metrics({"peak_memory_bytes": "bytes"}, Availability.FAILED, reason), {}
    peak = found["peak_bytes"]
    units = {"peak_memory_bytes": "bytes"}
    unknown = missing_metrics(units, Availability.UNDEFINED, found["method"])
    return unknown if peak is None else [Metric("peak_memory_bytes", peak, "bytes")], {"memory": found}


FIGURES: Mapping[
    str, Callable[[on_host.Benchmark, on_host.MeasuredArtifact, registry.Runtime, Launcher], FigureResult]
] = {
    "quality": _quality,
    "speed": _speed,
    "memory": _memory,
    "instructions": _instructions,
    "compiler": _compiled,
}
