"""The whole way: convert, benchmark, gate and report, in one bundle that is written beside its place and moved into it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgeship.benchmarks.compare import parity_matrix
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge, judged_again
from edgeship.benchmarks.measure import on_host
from edgeship.benchmarks.report import flipped_samples as samples
from edgeship.benchmarks.report.html_report import FILE as REPORT
from edgeship.benchmarks.report.html_report import draw, write_report
from edgeship.bundle import bundle as bundles
from edgeship.bundle import goldens, preprocessing
from edgeship.data import RepresentativeDataset
from edgeship.devices import machine
from edgeship.errors import MissingDependencyError
from edgeship.formats.formats import QUANTIZERS, TENSORFLOW
from edgeship.pipeline import (
    confidence_calibration,
    data_checks,
    golden_run,
    layer_sensitivity,
    measurement_plan,
    mixed_precision,
    reference_outputs,
)
from edgeship.pipeline.plan import plan
from edgeship.pipeline.steps import ConversionResult, ConvertedArtifact, Converter
from edgeship.processes.executors import PipelineExecutors
from edgeship.progress import Progress
from edgeship.recipes.quantization import needs_data
from edgeship.server_model import model_files
from edgeship.settings import config, permissions
from edgeship.settings.variants import Variant
from edgeship.storage import cache, digest
from edgeship.types import FORMATS, TensorSpec, to_json
from edgeship.untrusted import is_plain_name, reading

Manifest = dict[str, Any]
KERAS = (".keras", ".h5")


@dataclass(frozen=True)
class PipelineContext:
    """What the steps of one command share.

    `draft` is the bundle being written; with `retry`, times that the machine was too busy for are taken again.
    """

    draft: Path
    executors: PipelineExecutors
    progress: Progress
    cache: cache.Cache
    retry: bool = False


def convert(model: Path, out: Path, settings: config.Config, formats: Sequence[str] = FORMATS) -> Manifest:
    """Write a bundle with the artifacts, their receipts and the goldens; nothing is measured. Returns the manifest."""
    data_checks.check_settings(settings)
    with _working(out) as work:
        manifest, _ = _build(work, model, settings, formats, None)
        manifest["data"] |= _named(settings)
        bundles.seal(work.draft, manifest)
    return manifest


def ship(model: Path, out: Path, settings: config.Config, formats: Sequence[str] = FORMATS) -> Manifest:
    """Convert, benchmark, gate and report in one go. Returns the manifest with its verdict.

    A bundle is written also where the gate says no: it shows why. Only errors leave nothing.
    """
    budget, evaluation = _judged(settings)
    with _working(out) as work:
        manifest, reference = _build(work, model, settings, formats, evaluation)
        found = _measure(work, manifest, settings, evaluation, reference)
        _report(work, manifest, budget, found)
        bundles.seal(work.draft, manifest)
    return manifest


def benchmark(bundle: bundles.Bundle, settings: config.Config, out: Path) -> Manifest:
    """Measure every artifact of a bundle (or read it from the cache), judge it by its budget, write the report.

    The bundle with its figures is written to `out`, which may be its own place.
    """
    budget, evaluation = _judged(settings)
    if evaluation:
        data_checks.check_evaluation(evaluation, _interface(bundle.manifest["server_model"]), settings, budget)
    with _working(out, retry=True) as work:
        bundles.link_tree(bundle.root, work.draft)
        shutil.rmtree(work.draft / "report", ignore_errors=True)
        manifest = dict(bundle.manifest)
        model = work.draft / manifest["server_model"]["path"]
        answered = evaluation if runs_server_models() else None
        reference = reference_outputs.begin(work, model, settings, answered) if answered else None
        found = _measure(work, manifest, settings, evaluation, reference)
        with reading(bundle.root / bundles.MANIFEST):  # what it says of steps and layers may be anything
            _report(work, manifest, budget, found)
        manifest["config"] = permissions.keep(manifest["config"], bundle.manifest["config"])
        bundles.seal(work.draft, manifest)
    return manifest


def runs_server_models() -> bool:
    """Whether this installation holds what runs a server model; without it no artifact can be compared with one."""
    return find_spec("tensorflow") is not None


def debug(
    bundle: bundles.Bundle, settings: config.Config, artifact: str | None, samples: int = layer_sensitivity.SAMPLES
) -> dict[str, Any]:
    """Find which layer of an int8 `.tflite` does it (`layer_sensitivity.examine`); bundle and report keep what was found."""
    model = bundle.root / bundle.manifest["server_model"]["path"]
    _check_model(model)
    with _working(bundle.root) as work:
        found = layer_sensitivity.examine(bundle, work, settings, artifact, samples)
        bundles.link_tree(bundle.root, work.draft)
        debugged = {**bundle.manifest.get("debug", {}), found["artifact"]: found}
        manifest = judged_again({**bundle.manifest, "debug": debugged})
        report = work.draft / REPORT
        if report.is_file():
            report.unlink()  # it is the old bundle's too
            with reading(bundle.root / bundles.MANIFEST):
                write_report(work.draft, manifest)
        bundles.seal(work.draft, manifest)
    return found


@contextlib.contextmanager
def _working(out: Path, *, retry: bool = False) -> Iterator[PipelineContext]:
    store = cache.Cache()
    store.prune()
    with Progress() as progress, bundles.replace_bundle(out) as draft, PipelineExecutors() as executors:
        yield PipelineContext(draft, executors, progress, store, retry)


def _judged(settings: config.Config) -> tuple[Budget, RepresentativeDataset | None]:
    """The budget and the evaluation data, read before any work so that what is wrong is refused at once."""
    data = settings.data.evaluation
    return data_checks.check_settings(settings), RepresentativeDataset(data) if data else None


def _build(
    work: PipelineContext,
    model: Path,
    settings: config.Config,
    formats: Sequence[str],
    evaluation: RepresentativeDataset | None,
) -> tuple[Manifest, Future[cache.Entry] | None]:
    """Convert into the draft; the server model's answers on the evaluation data are begun meanwhile."""
    _check_model(model)
    pairs, skipped = plan(settings, formats)
    converter = Converter(work.executors, work.cache, work.progress, model, settings, mixed_precision.step)
    _check_data(converter, pairs, evaluation)
    converter.start(pairs)
    answered = work.executors.export.submit(
        lambda: golden_run.answer_golden_inputs(work, converter.server(), settings, converter.data)
    )
    reference = reference_outputs.begin(work, model, settings, evaluation) if evaluation else None
    with golden_run.GoldenRuns(work, answered) as runs:
        runs.follow(converter.artifacts)
        conversion = converter.finish()
        ran = runs.write(work.draft / "goldens", conversion)
    artifacts = [_placed(work.draft, made) for made in conversion.made]
    server = _server(work.draft, conversion, settings)
    manifest: Manifest = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "server_model": server,
        "labels": list(settings.data.labels) or None,
        "config": to_json(settings.stored()),
        "data": {"calibration": _described(converter.data, settings.data.calibration_samples)},
        "artifacts": artifacts,
        "skipped": skipped,
        "tools": dict(
            cache.versions(*TENSORFLOW, *QUANTIZERS["tflite"], *QUANTIZERS["onnx"], "tf2onnx", "tensorflowjs")
        ),
        "machine": dict(machine.describe()),
        "measurements": [],
        "gate": None,
    }
    golden = answered.result()
    manifest["preprocessing"] = preprocessing.describe(conversion.server.inputs, golden.inputs)
    manifest["goldens"] = {
        "samples": len(next(iter(golden.inputs.values()))),
        "source": "representative dataset" if golden.data else "random (no --data was given)",
        "server": conversion.server.digest,
        "artifacts": to_json(ran),
    }
    return manifest, reference


def _check_data(
    converter: Converter, pairs: Sequence[tuple[Variant, str]], evaluation: RepresentativeDataset | None
) -> None:
    """Refuse data that does not fit the model as soon as its inputs are known, before anything is converted."""
    settings, asked = converter.config, [variant for variant, _ in pairs]
    if evaluation is None and settings.data.evaluation and any(variant.quantize == "auto" for variant in asked):
        evaluation = RepresentativeDataset(settings.data.evaluation)
    further = {settings.data.train: settings.training.samples, settings.data.validation: None}
    wanted = any(variant.recipes for variant in asked)
    training = [(RepresentativeDataset(source), limit) for source, limit in further.items() if wanted and source]
    model = _interface(converter.describe(pairs))
    if converter.data:
        needed = any(needs_data(variant.quantize) for variant in asked)
        data_checks.check_calibration(converter.data, model, needed=needed)
    if evaluation:
        budget = Budget.parse(settings.budget, settings.source)
        data_checks.check_evaluation(evaluation, model, settings, budget)
    for data, limit in training:
        data_checks.check_training(data, model, limit)


def _interface(described: Mapping[str, Any]) -> data_checks.Interface:
    """The inputs and outputs of a described server model."""
    inputs, outputs = (tuple(map(TensorSpec.from_json, described[side])) for side in ("inputs", "outputs"))
    return data_checks.Interface(inputs, outputs)


def _check_model(model: Path) -> None:
    """Refuse at once what is no model, before TensorFlow is started to read it."""
    if not runs_server_models():
        raise MissingDependencyError("reading a model needs TensorFlow: pip install 'edgeship[all]'")
    model_files.check_kind(model)


def _placed(draft: Path, made: ConvertedArtifact) -> dict[str, Any]:
    """Copy an artifact from the cache to its place in the bundle, and describe it for the manifest."""
    artifact = made.artifact
    folder = artifact.format == "tfjs"
    name = f"{artifact.format}/{artifact.variant}" + ("" if folder else f".{artifact.format}")
    target = draft / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if folder:
        shutil.copytree(artifact.path.parent, target)
        target = target / artifact.path.name
    else:
        shutil.copyfile(artifact.path, target)
    placed = to_json(replace(artifact, path=target.relative_to(draft)))
    content = digest.of_path(measurement_plan.place(replace(artifact, path=target)))
    return {"id": artifact.id, **placed, "digest": made.digest, "content": content, "receipt": made.receipt}


def _server(draft: Path, conversion: ConversionResult, settings: config.Config) -> dict[str, Any]:
    """The server model travels in the bundle: `benchmark` compares with it wherever the bundle goes."""
    source = conversion.server.path
    name = source.name if is_plain_name(source.name) else f"model{source.suffix if source.suffix in KERAS else ''}"
    target = draft / "server" / name
    target.parent.mkdir()
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    if digest.of_path(target) != conversion.server.digest:
        raise digest.changed_error(source)
    described = {
        key: conversion.server.described[key] for key in ("loader", "notes", "inputs", "outputs", "parameters")
    }
    loading = asdict(settings.model)
    return {
        "path": target.relative_to(draft).as_posix(),
        "digest": conversion.server.digest,
        "loading": loading,
        **described,
    }


def _named(settings: config.Config) -> dict[str, Any]:
    """What the manifest keeps of further data: by its digest `benchmark` and `debug` know it again."""
    limits = {"evaluation": settings.data.evaluation_samples, "train": settings.training.samples}
    return {key: _described(data, limits.get(key)) for key, data in data_checks.named(settings).items()}


def _described(data: RepresentativeDataset | None, limit: int | None) -> dict[str, Any] | None:
    if data is None:
        return None
    return {"source": Path(data.source).name, "digest": data.digest, "samples": len(data), "limit": limit}


def _measure(
    work: PipelineContext,
    manifest: Manifest,
    settings: config.Config,
    evaluation: RepresentativeDataset | None,
    reference: Future[cache.Entry] | None,
) -> on_host.Reference | None:
    """Measure what the draft holds, into the manifest. Returns the server model's answers, where there are some."""
    found = None
    if evaluation and reference:
        inputs = tuple(map(TensorSpec.from_json, manifest["server_model"]["inputs"]))
        found = reference_outputs.reference(inputs, settings, evaluation, reference.result())
    manifest["server_measurement"] = (
        on_host.server_figures(found, settings.benchmark.metric) if found and found.labels else None
    )
    manifest["data"] = {
        **(manifest.get("data") or {}),
        **_named(settings),
        "evaluation": _described(evaluation, settings.data.evaluation_samples),
    }
    manifest["config"] = to_json(settings.stored())
    wanted = on_host.Settings(settings.benchmark.profile, settings.benchmark.metric, work.retry)
    bench = on_host.Benchmark(work.cache, work.progress, wanted, found)
    bench.without_reference = on_host.NO_SERVER_MODEL if evaluation and not reference else on_host.NO_DATA
    golden = goldens.read(work.draft / "goldens", "inputs")
    bench.sample = {name: array[:1] if array.ndim else array for name, array in golden.items()}
    subjects = {item["id"]: measurement_plan.subject(work.draft, item) for item in manifest["artifacts"]}
    bench.bases = {item.artifact.format: item for item in subjects.values() if item.artifact.variant == "float32"}
    manifest["measurements"] = to_json(measurement_plan.measure(bench, subjects, settings))
    manifest["between_formats"] = to_json(bench.between_formats(list(subjects)))
    measurement_plan.advise(work.progress, subjects, settings)
    if found and found.labels:
        confidence_calibration.repair(work, work.draft, manifest, settings, found)
    return found


def _report(work: PipelineContext, manifest: Manifest, budget: Budget, found: on_host.Reference | None) -> None:
    """Judge and report what was measured, into the draft."""
    manifest["matrix"] = parity_matrix.build_parity_matrix(manifest)
    manifest["files"] = bundles.digests(work.draft)
    manifest["gate"] = to_json(judge(manifest, budget))
    if found:
        samples.write(work.draft, manifest, found.batches())
    plotted = {name: manifest.get(name) for name in ("measurements", "labels", "debug")}
    drawn = work.cache.get("plots", {**plotted, "tools": cache.versions("matplotlib")}, lambda _: draw(manifest))
    write_report(work.draft, manifest, drawn.result)
