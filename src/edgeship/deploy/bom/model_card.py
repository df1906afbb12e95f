"""Model cards of a bill of materials: what goes in and out, the figures with their intervals, what limits their use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from edgeship.bundle.figures.comparisons import OutputAccuracy, OutputParity, ServerAccuracy
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.verdict import Check
from edgeship.types import TensorSpec, Verdict

Json = dict[str, Any]
# What the details of a measurement say better, output by output and with intervals.
DETAILED = frozenset(
    {"accuracy", "accuracy_server", "accuracy_drop", "ece", "ece_server", "flips", "agreement"}
    | {"sqnr_db", "max_abs_error", "mean_abs_error", "cosine"}
)


def describe_server_model(manifest: Manifest, datasets: Sequence[Json]) -> Json:
    """The card of the server model. Its figures are on the evaluation data."""
    server = manifest.server
    limits = [f"{check.check}: {check.verdict}: {check.reason}" for check in _failed_checks(manifest, "")]
    figures = [*_server_metrics(manifest.server_measurement), *_gain_metrics(manifest)]
    return _card(server.inputs, server.outputs, datasets, figures, [*server.notes, *limits])


def describe_artifact(manifest: Manifest, item: ArtifactEntry, datasets: Sequence[Json]) -> Json:
    """The card of an artifact. Each figure tells where it was taken and how: measured, emulated, simulated or estimated."""
    figures = [figure for found in manifest.measurements_of(item.id) for figure in _measured_metrics(found)]
    return _card(item.inputs, item.outputs, datasets, figures, _limitations(manifest, item))


def _card(
    inputs: Iterable[TensorSpec],
    outputs: Iterable[TensorSpec],
    datasets: Sequence[Json],
    figures: Sequence[Json],
    limitations: Iterable[str],
) -> Json:
    return {
        "modelParameters": {
            "datasets": list(datasets),
            "inputs": [{"format": _tensor_text(spec)} for spec in inputs],
            "outputs": [{"format": _tensor_text(spec)} for spec in outputs],
        },
        "quantitativeAnalysis": {"performanceMetrics": list(figures)},
        "considerations": {"technicalLimitations": list(dict.fromkeys(limitations))},
    }


def _tensor_text(spec: TensorSpec) -> str:
    """As `image: float32 [?, 28, 28, 1]`; `?` is an axis of any length. Scale and zero point of a quantized tensor follow."""
    shape = ", ".join("?" if size is None else str(size) for size in spec.shape)
    scales = spec.quantization
    affine = f", scale {list(scales.scale)}, zero point {list(scales.zero_point)}" if scales else ""
    return f"{spec.name}: {spec.dtype} [{shape}]{affine}"


def _metric(name: str, value: Any, place: str, low: Any = None, high: Any = None) -> Iterator[Json]:
    if value is None:
        return
    figure: Json = {"type": name, "value": str(value), "slice": place}
    if low is not None and high is not None:
        figure |= {"confidenceInterval": {"lowerBound": str(low), "upperBound": str(high)}}
    yield figure


def _server_metrics(measured: ServerAccuracy | None) -> Iterator[Json]:
    if measured is None:
        return
    outputs = measured.outputs or {measured.output: measured}
    for name, output in outputs.items():
        place = f"evaluation data, {_output_text(name)}, {output.n} samples"
        yield from _metric(output.metric, output.server, place)
        yield from _metric("expected calibration error", output.ece_server, place)


def _gain_metrics(manifest: Manifest) -> Iterator[Json]:
    for name, answer in manifest.constant_answers.items():
        place = f"evaluation data, {_output_text(name)}, {answer.n} samples, 95 % interval, paired"
        label = f"{answer.metric} gained on always answering {answer.answer}"
        yield from _metric(label, answer.gain, place, answer.low, answer.high)


def _measured_metrics(measurement: Measurement) -> Iterator[Json]:
    where = f"{measurement.runtime} on {measurement.device}"
    accuracy, parity = measurement.details.accuracy, measurement.details.parity
    if accuracy:
        outputs = accuracy.outputs or {accuracy.output: accuracy}
        for name, output in outputs.items():
            yield from _accuracy_metrics(output, f"{where}, evaluation data, {_output_text(name)}")
    for name, nearness in (parity or {}).items():
        yield from _parity_metrics(nearness, f"{where}, {_output_text(name)}")
    detailed = DETAILED if accuracy or parity else frozenset()
    for metric in measurement.metrics:
        if metric.name not in detailed:
            unit = f", in {metric.unit}" if metric.unit else ""
            yield from _metric(metric.name, metric.value, f"{where}, {metric.kind}{unit}")


def _accuracy_metrics(output: OutputAccuracy, place: str) -> Iterator[Json]:
    where = f"{place}, {output.n} samples"
    paired = f"{where}, 95 % interval, paired{f' ({output.method})' if output.method else ''}"
    yield from _metric(output.metric, output.value, where)
    drop = f"{output.metric} lost against the server model"
    yield from _metric(drop, output.drop, paired, output.low, output.high)
    yield from _metric("expected calibration error", output.ece, where)
    if flips := output.sure_flips:
        sure = f"{place}, {flips.n} answers that the server model is sure of, 95 % interval"
        yield from _metric("share of sure answers that differ", flips.share, sure, flips.low, flips.high)


def _parity_metrics(parity: OutputParity, place: str) -> Iterator[Json]:
    where = f"{place}, {parity.n} samples"
    yield from _metric("sqnr_db", parity.sqnr_db, f"{where}, in dB")
    yield from _metric("max_abs_error", parity.max_abs_error, where)
    if parity.agreement is not None:
        answers = f"{place}, {parity.agreement_n} answers, 95 % interval"
        name = "share of answers that are the server model's"
        yield from _metric(name, parity.agreement, answers, parity.agreement_low, parity.agreement_high)


def _output_text(name: str) -> str:
    return f"output {name}" if name else "the output"


def _limitations(manifest: Manifest, item: ArtifactEntry) -> Iterator[str]:
    """What speaks against an artifact, the verdict first; nothing where it passes and nothing was noticed."""
    gate = manifest.gate
    verdict = gate.verdict_on(item.id) if gate else None
    if gate is None or verdict is None:
        yield "not judged: no budget was applied to this artifact"
    elif verdict is not Verdict.PASS:
        yield f"verdict {verdict}: it is not to be shipped"
        yield from (f"{check.check}: {check.verdict}: {check.reason}" for check in _failed_checks(manifest, item.id))
    if gate:
        remarks = (*gate.not_judged, *gate.remarks)
        yield from (remark.reason for remark in remarks if remark.artifact == item.id)
    if item.foreign:
        yield "of unknown origin: somebody else made the file, and it is judged by its figures alone"
        yield from item.foreign.notes
    if item.doubt:
        yield f"in doubt: {item.doubt}"


def _failed_checks(manifest: Manifest, artifact: str) -> list[Check]:
    checks = manifest.gate.checks if manifest.gate else ()
    return [check for check in checks if check.artifact == artifact and check.verdict is not Verdict.PASS]
