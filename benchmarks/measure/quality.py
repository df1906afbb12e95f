"""Accuracy with labels and parity with the server model, from one run over the evaluation data.

On a device that is not simply this machine the outputs are compared twice: with the server model, as everywhere, and with
this machine's outputs of the same artifact, which tells whether the device computes otherwise. A slow one runs a subset.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from edgeship.benchmarks.compare import accuracy, bit_exactness, parity
from edgeship.benchmarks.compare.constant_answers import compare_with_constants
from edgeship.benchmarks.measure import failure_reasons, sampling
from edgeship.benchmarks.measure.benchmark import (
    Benchmark,
    FigureResult,
    MeasuredArtifact,
    Reference,
    Target,
    evaluation_batch,
)
from edgeship.bundle.figures.comparisons import (
    AccuracyReport,
    ConstantAnswer,
    FormatParity,
    OutputAccuracy,
    OutputParity,
    ServerAccuracy,
)
from edgeship.bundle.figures.device_figures import BitExactness, SampleSubset
from edgeship.bundle.figures.measurement import MeasurementDetails
from edgeship.bundle.metric import Metric, missing_metrics
from edgeship.data import Array, arrays_digest, load, save
from edgeship.errors import EdgeshipError, InputError, ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers.local import LocalLauncher
from edgeship.runtimes.session import Session, open_session
from edgeship.storage import digest
from edgeship.typed_json import convert
from edgeship.types import Availability, to_json

OUTPUTS = "outputs.npz"
MAX_STORED_BYTES = 64 << 20  # of an artifact's outputs, to be compared with another's
NO_LABELS = "the evaluation data has no labels (an array y)"
PROBE, PROBE_SECONDS = 32, 0.5
BATCH_SECONDS = 5.0  # a slow device answers at least this often, so that a hung one is noticed

QUALITY = {
    "accuracy": "share",
    "accuracy_server": "share",
    "accuracy_drop": "share",
    "ece": "share",
    "ece_server": "share",
    "flips": "samples",
}
PARITY = {"agreement": "share", "max_abs_error": "", "mean_abs_error": "", "cosine": "", "sqnr_db": "dB"}
UNITS = {**QUALITY, **PARITY}


def measure(bench: Benchmark, target: Target) -> FigureResult:
    """Accuracy and parity of an artifact; on a compared device also how its outputs differ from this machine's."""
    reference, subject, with_bit_exactness = bench.reference, target.subject, target.launcher.compared_with_host
    if reference is None:
        reason = bench.no_reference_reason
        return _no_outputs(with_bit_exactness, Availability.NO_DATA, reason, BitExactness(reason=reason))
    usual = registry.for_format(subject.artifact.format)[0] if with_bit_exactness else None
    key = {
        **target.key(),
        "host": usual.identity() if usual else None,
        "reference": reference.digest,
        "data": reference.data.digest,
        "limit": reference.limit,
        "metric": bench.settings.metric,
        "groups": None if reference.groups is None else arrays_digest({"groups": reference.groups}),
    }
    what = f"{subject.artifact.id} on {target.place}: accuracy and parity"
    try:
        entry = bench.cache_result(
            what, "quality", key, lambda folder: to_json(_evaluate_target(bench, target, usual, reference, folder))
        )
    except InputError:
        raise
    except EdgeshipError as error:  # killed, hung or not installed: not a property of the artifact, so not kept
        why = BitExactness(reason=failure_reasons.describe_failure(str(error), target.launcher))
        return _no_outputs(with_bit_exactness, Availability.FAILED, str(error), why)
    details = convert(MeasurementDetails, entry.result)
    if details.parity is None and details.bit_exactness:
        why = details.bit_exactness
        return _no_outputs(with_bit_exactness, Availability.FAILED, why.reason, why)
    if OUTPUTS in entry.files:
        bench.outputs.setdefault(subject.artifact.id, entry.path / OUTPUTS)
    return FigureResult(quality_metrics(details), details)


def _no_outputs(with_bit_exactness: bool, availability: Availability, reason: str, why: BitExactness) -> FigureResult:
    """Nothing but a reason, in the parity matrix too where the device has a column there."""
    details = MeasurementDetails(bit_exactness=why) if with_bit_exactness else MeasurementDetails()
    return FigureResult(missing_metrics(UNITS, availability, reason), details)


def _evaluate_target(
    bench: Benchmark, target: Target, usual: registry.Runtime | None, reference: Reference, folder: Path
) -> MeasurementDetails:
    """What the artifact answers; on a compared device also how it failed: what does not load today will not tomorrow."""
    if usual is None:
        return _evaluate_on_host(bench, target, reference, folder)
    try:
        return _evaluate_on_device(bench, target, usual, reference)
    except InputError:
        raise
    except EdgeshipError as error:
        if isinstance(error, ProcessError) and error.died:
            raise
        reason = failure_reasons.describe_failure(str(error), target.launcher)
        why = BitExactness(reason=reason, explanation=failure_reasons.explain_failure(str(error), target.device))
        return MeasurementDetails(bit_exactness=why)


def _evaluate_on_host(bench: Benchmark, target: Target, reference: Reference, folder: Path) -> MeasurementDetails:
    """All of the evaluation data on all cores; the outputs of this machine's own runtimes are stored where they are small."""
    start = time.perf_counter()
    with target.open(timed=False, threads=None) as session:
        outputs = session.evaluate(reference.batches(), evaluation_batch(target.subject.receipt, reference.inputs))
    seconds = time.perf_counter() - start
    small = sum(array.nbytes for array in outputs.values()) <= MAX_STORED_BYTES
    if small and isinstance(target.launcher, LocalLauncher):
        save(folder / OUTPUTS, outputs)
    details = MeasurementDetails(parity=parity.compare(reference.outputs, outputs), evaluation_seconds=seconds)
    if not reference.labels:
        return details
    report = accuracy.measure(reference.labels, reference.outputs, outputs, bench.settings.metric, reference.groups)
    return replace(details, accuracy=report)


def _evaluate_on_device(
    bench: Benchmark, target: Target, usual: registry.Runtime, reference: Reference
) -> MeasurementDetails:
    """As many samples as the device has time for, on one thread, and the same ones on this machine."""
    start, total = time.perf_counter(), reference.samples
    with target.open(timed=False, threads=1, pool=bench.pool) as session:
        pace = _seconds_per_sample(session, reference)
        rows = sampling.choose_samples(
            reference.labels, total, sampling.affordable_samples(total, target.device.seconds, pace)
        )
        most = evaluation_batch(target.subject.receipt, reference.inputs)
        batch = max(1, min(most, int(BATCH_SECONDS / max(pace, 1e-6)), len(rows)))
        device_outputs = session.evaluate_stored(sampling.select_rows(reference.batches(), rows, batch), batch)
        outputs, engine = session.dequantize(device_outputs), {**session.engine, "version": session.version}
    server = {name: array[rows] for name, array in reference.outputs.items()}
    details = MeasurementDetails(
        parity=parity.compare(server, outputs),
        evaluation_seconds=time.perf_counter() - start,
        samples=SampleSubset(len(rows), total, "y" in reference.labels, target.device.seconds),
        engine=engine,
        bit_exactness=_compare_with_host(target.subject, usual, reference, rows, batch, device_outputs, outputs),
    )
    if not reference.labels:
        return details
    labels = {name: array[rows] for name, array in reference.labels.items()}
    metrics = accuracy.settle_metrics(reference.labels, reference.outputs, bench.settings.metric)
    groups = None if reference.groups is None else reference.groups[rows]
    report = accuracy.measure(labels, server, outputs, metrics, groups)
    return replace(details, accuracy=renumber_flips(report, rows))


def _seconds_per_sample(session: Session, reference: Reference) -> float:
    """The pace of a second run, since the first one pays for translation and caches."""
    for count in (
        1,
        min(PROBE, reference.samples),
    ):  # one sample alone pays for the message too, unless it is slow anyway
        sample = next(sampling.select_rows(reference.batches(), np.arange(count), count))
        session.run(sample)
        start = time.perf_counter()
        session.run(sample)
        pace = (time.perf_counter() - start) / count
        if pace > PROBE_SECONDS:
            break
    return pace


def renumber_flips(report: AccuracyReport, rows: Array) -> AccuracyReport:
    """The report with flipped samples by their place in the whole data, not in the subset of those `rows`."""

    def renumber(output: OutputAccuracy) -> OutputAccuracy:
        return replace(output, flips=tuple(replace(flip, index=int(rows[flip.index])) for flip in output.flips))

    outputs = {name: renumber(output) for name, output in report.outputs.items()}
    return AccuracyReport.of_outputs(outputs, report.output)


def _compare_with_host(
    subject: MeasuredArtifact,
    usual: registry.Runtime,
    reference: Reference,
    rows: Array,
    batch: int,
    device_outputs: Mapping[str, Array],
    outputs: Mapping[str, Array],
) -> BitExactness:
    """The device against this machine's usual runtime, on the same samples in the same batches, one thread each."""
    if reason := usual.unavailable_reason():
        return BitExactness(reason=f"{usual.name} is not here to compare with: {reason}")
    try:
        with open_session(usual.name, subject.artifact.path, bridge=subject.artifact.bridge) as session:
            host_outputs = session.evaluate_stored(sampling.select_rows(reference.batches(), rows, batch), batch)
            comparison = bit_exactness.compare_bit_exactness(
                host_outputs, device_outputs, (session.dequantize(host_outputs), outputs)
            )
            return replace(comparison, against=f"{usual.name} {session.version}")
    except EdgeshipError as error:
        return BitExactness(reason=f"this machine gave nothing to compare with: {error}")


def quality_metrics(details: MeasurementDetails) -> list[Metric]:
    """Accuracy and parity as metrics; a figure that the outputs do not have says why."""
    output_parity = details.parity or {}
    worst = parity.worst_figures(output_parity)
    reasons = [item.reason for item in output_parity.values() if item.reason]
    undefined = reasons[0] if reasons else "the outputs are no answers: a figure of classification"
    metrics = [_metric_or_reason(name, worst[name], unit, undefined) for name, unit in PARITY.items()]
    report = details.accuracy
    if report is None:
        return metrics + missing_metrics(QUALITY, Availability.NO_DATA, NO_LABELS)
    figures = {
        "accuracy": report.value,
        "accuracy_server": report.server,
        "accuracy_drop": report.drop,
        "ece": report.ece,
        "ece_server": report.ece_server,
        "flips": report.flips_total,
    }
    reason = report.reason or f"not defined for {report.metric}"
    units = {name: unit if report.share or unit != "share" else report.metric for name, unit in QUALITY.items()}
    return metrics + [_metric_or_reason(name, figures[name], units[name], reason) for name in QUALITY]


def _metric_or_reason(name: str, value: float | None, unit: str, reason: str) -> Metric:
    """A figure of outputs; one that they do not have is undefined for the reason."""
    if value is None:
        return Metric(name, None, unit, availability=Availability.UNDEFINED, reason=reason)
    return Metric(name, value, unit)


def compare_with_itself(bench: Benchmark, reference: Reference) -> AccuracyReport:
    """The server model in an artifact's place; kept, as its intervals load SciPy.

    Raises InputError where the labels do not fit its outputs.
    """
    outputs = reference.outputs
    key = {
        "reference": reference.digest,
        "data": reference.data.digest,
        "limit": reference.limit,
        "metric": bench.settings.metric,
        "labels": sorted(reference.labels),
    }
    entry = bench.cache.get(
        "server-figures",
        key,
        lambda _: to_json(accuracy.measure(reference.labels, outputs, outputs, bench.settings.metric)),
    )
    return convert(AccuracyReport, entry.result)


def server_figures(report: AccuracyReport) -> ServerAccuracy:
    """The server model's own accuracy, of `compare_with_itself`."""
    names = [item.name for item in fields(ServerAccuracy) if item.name not in ("output", "outputs")]

    def figures(one: OutputAccuracy, output: str, outputs: Mapping[str, ServerAccuracy]) -> ServerAccuracy:
        return ServerAccuracy(**{name: getattr(one, name) for name in names}, output=output, outputs=outputs)

    return figures(report, report.output, {name: figures(one, name, {}) for name, one in report.outputs.items()})


def server_skill(bench: Benchmark, reference: Reference, report: AccuracyReport) -> dict[str, ConstantAnswer]:
    """The server model beside the best constant answer, by labelled output; kept, as its intervals take a second.

    `report`: of `compare_with_itself`.
    """
    metrics = {name: output.metric for name, output in report.outputs.items()}
    key = {
        "reference": reference.digest,
        "data": reference.data.digest,
        "limit": reference.limit,
        "metrics": metrics,
        "functions": bench.settings.metric.digests,
    }
    entry = bench.cache.get(
        "constant-answers",
        key,
        lambda _: to_json(compare_with_constants(reference.labels, reference.outputs, metrics)),
    )
    return convert(dict[str, ConstantAnswer], entry.result)


def compare_formats(bench: Benchmark, artifacts: Sequence[str]) -> list[FormatParity]:
    """How near the `.onnx` of each variant is to its `.tflite`: their parity per output, on the evaluation data.

    Of artifacts that were run on this machine and whose outputs are small enough to be stored (`Benchmark.outputs`).
    """
    variants = dict.fromkeys(name.partition("/")[2] for name in artifacts)
    pairs = [(f"onnx/{variant}", f"tflite/{variant}") for variant in variants]
    return [
        FormatParity(onnx, tflite, _compare_stored(bench, bench.outputs[tflite], bench.outputs[onnx]))
        for onnx, tflite in pairs
        if onnx in bench.outputs and tflite in bench.outputs
    ]


def _compare_stored(bench: Benchmark, one: Path, other: Path) -> dict[str, OutputParity]:
    """The parity of the second file's outputs with the first's; kept, as its intervals load SciPy."""
    key = {"one": digest.of_path(one), "other": digest.of_path(other)}
    entry = bench.cache.get("between-formats", key, lambda _: to_json(parity.compare(load(one), load(other))))
    return convert(dict[str, OutputParity], entry.result)
