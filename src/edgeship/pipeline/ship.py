"""The whole way: convert, benchmark, gate and report, in one bundle that is written beside its place and moved into it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from edgeship.benchmarks.compare import parity_matrix
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge, judge_again
from edgeship.benchmarks.measure import quality
from edgeship.benchmarks.measure.benchmark import NO_DATA, NO_SERVER_MODEL, Benchmark, Reference, Settings
from edgeship.benchmarks.report import flipped_samples as samples
from edgeship.benchmarks.report.html_report import FILE as REPORT
from edgeship.benchmarks.report.html_report import draw, write_report
from edgeship.bundle import bundle as bundles
from edgeship.bundle import goldens, preprocessing
from edgeship.bundle.figures import LayerSensitivity
from edgeship.bundle.manifest import ArtifactEntry, DataEntry, GoldenSet, Manifest, ServerModelEntry
from edgeship.bundle.verdict import ArtifactReason
from edgeship.data import RepresentativeDataset
from edgeship.devices import machine
from edgeship.errors import MissingDependencyError
from edgeship.formats import formats as known_formats
from edgeship.formats.formats import FORMATS
from edgeship.pipeline import (
    confidence_calibration,
    data_checks,
    golden_run,
    layer_sensitivity,
    measurement_plan,
    mixed_precision,
    reference_outputs,
)
from edgeship.pipeline.conversion.converter import Converter
from edgeship.pipeline.conversion.plan import plan
from edgeship.pipeline.conversion.source import ConversionResult, ConvertedArtifact
from edgeship.pipeline.step_queue import StepQueue
from edgeship.processes.executors import PipelineExecutors
from edgeship.progress import Progress
from edgeship.recipes.quantization import needs_data
from edgeship.server_model import model_files
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings import config, permissions
from edgeship.settings.variants import Variant
from edgeship.storage import cache, digest
from edgeship.types import to_json
from edgeship.untrusted import is_plain_name, reading

KERAS = (".keras", ".h5")


@dataclass(frozen=True)
class PipelineContext:
    """What the steps of one command share.

    `draft` is the bundle being written; with `retry`, times that the machine was too busy for are taken again.
    """

    draft: Path
    queue: StepQueue
    retry: bool = False

    @property
    def executors(self) -> PipelineExecutors:
        """The processes of this command."""
        return self.queue.executors

    @property
    def progress(self) -> Progress:
        """Where to say what is going on."""
        return self.queue.progress

    @property
    def cache(self) -> cache.Cache:
        """Where results are kept."""
        return self.queue.cache


def convert(model: Path, out: Path, settings: config.Config, formats: Sequence[str] = FORMATS) -> Manifest:
    """Write a bundle with the artifacts, their receipts and the goldens; nothing is measured. Returns the manifest."""
    data_checks.check_settings(settings)
    with _working(out) as work:
        manifest, _ = _build(work, model, settings, formats, None)
        manifest = replace(manifest, data={**manifest.data, **_describe_named_data(settings)})
        bundles.seal(work.draft, manifest)
    return manifest


def ship(model: Path, out: Path, settings: config.Config, formats: Sequence[str] = FORMATS) -> Manifest:
    """Convert, benchmark, gate and report in one go. Returns the manifest with its verdict.

    A bundle is written also where the gate says no: it shows why. Only errors leave nothing.
    """
    budget, evaluation = _judged(settings)
    with _working(out) as work:
        manifest, reference = _build(work, model, settings, formats, evaluation)
        manifest, answers = _measure(work, manifest, settings, evaluation, reference)
        manifest = _report(work, manifest, budget, answers)
        bundles.seal(work.draft, manifest)
    return manifest


def benchmark(bundle: bundles.Bundle, settings: config.Config, out: Path) -> Manifest:
    """Measure every artifact of a bundle (or read it from the cache), judge it by its budget, write the report.

    The bundle with its figures is written to `out`, which may be its own place.
    """
    budget, evaluation = _judged(settings)
    if evaluation:
        data_checks.check_evaluation(evaluation, _interface(bundle.manifest.server), settings, budget)
    with _working(out, retry=True) as work:
        bundles.link_tree(bundle.root, work.draft)
        shutil.rmtree(work.draft / "report", ignore_errors=True)
        model = work.draft / bundle.manifest.server.path
        answered = evaluation if runs_server_models() else None
        reference = None
        if answered:
            step = reference_outputs.reference_step(model, settings, answered)
            reference = work.queue.submit([step])[step.name]
        manifest, answers = _measure(work, bundle.manifest, settings, evaluation, reference)
        with reading(bundle.root / bundles.MANIFEST):  # what it says of steps and layers may be anything
            manifest = _report(work, manifest, budget, answers)
        manifest = replace(
            manifest, config=permissions.keep_grants(dict(manifest.config or {}), bundle.manifest.config)
        )
        bundles.seal(work.draft, manifest)
    return manifest


def runs_server_models() -> bool:
    """Whether this installation holds what runs a server model; without it no artifact can be compared with one."""
    return find_spec("tensorflow") is not None


def debug(
    bundle: bundles.Bundle, settings: config.Config, artifact: str | None, samples: int = layer_sensitivity.SAMPLES
) -> LayerSensitivity:
    """Find which layer of an int8 `.tflite` does it (`layer_sensitivity.examine`); bundle and report keep what was found."""
    model = bundle.root / bundle.manifest.server.path
    _check_model(model)
    with _working(bundle.root) as work:
        found = layer_sensitivity.examine(bundle, work.queue, settings, artifact, samples)
        bundles.link_tree(bundle.root, work.draft)
        manifest = judge_again(replace(bundle.manifest, debug={**bundle.manifest.debug, found.artifact: found}))
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
    with (
        Progress() as progress,
        bundles.replace_bundle(out) as draft,
        PipelineExecutors() as executors,
        StepQueue(executors, store, progress) as queue,
    ):
        yield PipelineContext(draft, queue, retry)


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
    converter = Converter(work.queue, model, settings, pairs, mixed_precision.add_steps)
    _check_data(converter, pairs, evaluation)
    golden_step = golden_run.golden_inputs_step(converter.steps)
    reference_step = reference_outputs.reference_step(model, settings, evaluation) if evaluation else None
    futures = converter.start([golden_step, *([reference_step] if reference_step else [])])
    answered = futures[golden_step.name]
    reference = futures[reference_step.name] if reference_step else None
    with golden_run.GoldenRuns(work, answered) as runs:
        runs.follow(converter.artifacts)
        conversion = converter.finish()
        ran = runs.write(work.draft / "goldens", conversion)
    golden = answered.result()
    manifest = Manifest(
        files={},
        artifacts=tuple(_place_artifact(work.draft, made) for made in conversion.made),
        measurements=(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        labels=tuple(settings.data.labels) or None,
        server_model=_place_server_model(work.draft, conversion, settings),
        config=to_json(settings.stored()),
        data={"calibration": _describe_data(converter.steps.data, settings.data.calibration_samples)},
        skipped=tuple(ArtifactReason(item["artifact"], item["reason"]) for item in skipped),
        tools=cache.versions(*known_formats.all_tools()),
        machine=machine.describe(),
        preprocessing=preprocessing.describe(conversion.server.inputs, golden.inputs),
        goldens=GoldenSet(
            samples=len(next(iter(golden.inputs.values()))),
            source="representative dataset" if golden.data else "random (no --data was given)",
            server=conversion.server.digest,
            artifacts=ran,
        ),
    )
    return manifest, reference


def _check_data(
    converter: Converter, pairs: Sequence[tuple[Variant, str]], evaluation: RepresentativeDataset | None
) -> None:
    """Refuse data that does not fit the model as soon as its inputs are known, before anything is converted."""
    settings, asked = converter.steps.config, [variant for variant, _ in pairs]
    if evaluation is None and settings.data.evaluation and any(variant.quantize == "auto" for variant in asked):
        evaluation = RepresentativeDataset(settings.data.evaluation)
    further = {settings.data.train: settings.training.samples, settings.data.validation: None}
    wanted = any(variant.recipes for variant in asked)
    training = [(RepresentativeDataset(source), limit) for source, limit in further.items() if wanted and source]
    model = _interface(converter.describe())
    if converter.steps.data:
        needed = any(needs_data(variant.quantize) for variant in asked)
        data_checks.check_calibration(converter.steps.data, model, needed=needed)
    if evaluation:
        budget = Budget.parse(settings.budget, settings.source)
        data_checks.check_evaluation(evaluation, model, settings, budget)
    for data, limit in training:
        data_checks.check_training(data, model, limit)


def _interface(model: ServerModelEntry | ServerModelDescription) -> data_checks.Interface:
    return data_checks.Interface(model.inputs, model.outputs)


def _check_model(model: Path) -> None:
    """Refuse at once what is no model, before TensorFlow is started to read it."""
    if not runs_server_models():
        raise MissingDependencyError("reading a model needs TensorFlow: pip install 'edgeship[all]'")
    model_files.check_kind(model)


def _place_artifact(draft: Path, made: ConvertedArtifact) -> ArtifactEntry:
    """Copy an artifact from the cache to its place in the bundle, and describe it for the manifest."""
    artifact = made.artifact
    form = known_formats.find(artifact.format)
    target = draft / form.path_in_bundle(artifact.variant)
    source, place = form.place(artifact.path), form.place(target)
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, place)
    else:
        shutil.copyfile(source, place)
    return ArtifactEntry(
        id=artifact.id,
        path=target.relative_to(draft).as_posix(),
        format=artifact.format,
        variant=artifact.variant,
        inputs=artifact.inputs,
        outputs=artifact.outputs,
        steps=artifact.steps,
        digest=made.digest,
        content=digest.of_path(place),
        receipt=made.receipt,
    )


def _place_server_model(draft: Path, conversion: ConversionResult, settings: config.Config) -> ServerModelEntry:
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
    description = conversion.server.description
    return ServerModelEntry(
        path=target.relative_to(draft).as_posix(),
        digest=conversion.server.digest,
        inputs=description.inputs,
        outputs=description.outputs,
        parameters=description.parameters,
        loader=description.loader,
        notes=description.notes,
        loading=asdict(settings.model),
    )


def _describe_named_data(settings: config.Config) -> dict[str, DataEntry | None]:
    """What the manifest keeps of further data: by its digest `benchmark` and `debug` know it again."""
    limits = {"evaluation": settings.data.evaluation_samples, "train": settings.training.samples}
    return {key: _describe_data(data, limits.get(key)) for key, data in data_checks.named(settings).items()}


def _describe_data(data: RepresentativeDataset | None, limit: int | None) -> DataEntry | None:
    return DataEntry(Path(data.source).name, data.digest, len(data), limit) if data else None


def _measure(
    work: PipelineContext,
    manifest: Manifest,
    settings: config.Config,
    evaluation: RepresentativeDataset | None,
    reference: Future[cache.Entry] | None,
) -> tuple[Manifest, Reference | None]:
    """Measure what the draft holds: the manifest with the figures, and the server model's answers where there are some."""
    answers = None
    if evaluation and reference:
        answers = reference_outputs.reference(manifest.server.inputs, settings, evaluation, reference.result())
    labelled = answers if answers and answers.labels else None
    bench = Benchmark(
        work.cache,
        work.progress,
        Settings(settings.benchmark.profile, settings.benchmark.metric, work.retry),
        answers,
    )
    bench.no_reference_reason = NO_SERVER_MODEL if evaluation and not reference else NO_DATA
    golden = goldens.read(work.draft / "goldens", "inputs")
    bench.sample = {name: array[:1] if array.ndim else array for name, array in golden.items()}
    subjects = {item.id: measurement_plan.subject(work.draft, item) for item in manifest.artifacts}
    manifest = replace(
        manifest,
        config=to_json(settings.stored()),
        data={
            **manifest.data,
            **_describe_named_data(settings),
            "evaluation": _describe_data(evaluation, settings.data.evaluation_samples),
        },
        server_measurement=quality.server_figures(labelled, settings.benchmark.metric) if labelled else None,
        measurements=tuple(measurement_plan.measure(bench, subjects, settings)),
        between_formats=tuple(quality.compare_formats(bench.outputs, list(subjects))),
    )
    measurement_plan.advise(work.progress, subjects, settings)
    if labelled:
        manifest = confidence_calibration.repair(work, work.draft, manifest, settings, labelled)
    return manifest, answers


def _report(work: PipelineContext, manifest: Manifest, budget: Budget, answers: Reference | None) -> Manifest:
    """Judge what was measured and write its report into the draft. Returns the manifest with the verdict."""
    manifest = replace(manifest, matrix=parity_matrix.build_parity_matrix(manifest), files=bundles.digests(work.draft))
    manifest = replace(manifest, gate=judge(manifest, budget))
    if answers:
        samples.write(work.draft, manifest, answers.batches())
    plotted = {name: to_json(getattr(manifest, name)) for name in ("measurements", "labels", "debug")}
    drawn = work.cache.get("plots", {**plotted, "tools": cache.versions("matplotlib")}, lambda _: draw(manifest))
    write_report(work.draft, manifest, drawn.result)
    return manifest
