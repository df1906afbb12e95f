"""The bundle's draft: what the steps of a command share, and the artifacts, goldens and server model in it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle.manifest import ArtifactEntry, DataEntry, GoldenSet, Manifest, ServerModelEntry
from edgeship.data import RepresentativeDataset, load
from edgeship.deploy.contract.file import write_contract
from edgeship.deploy.contract.names import check_labels, check_outputs
from edgeship.devices import machine
from edgeship.formats import formats as known_formats
from edgeship.pipeline import data_checks, golden_run
from edgeship.pipeline.app_contract import find_contract
from edgeship.pipeline.context import PipelineContext, check_model
from edgeship.pipeline.conversion import failures
from edgeship.pipeline.conversion.converter import Converter
from edgeship.pipeline.conversion.plan import plan
from edgeship.pipeline.conversion.source import ConvertedArtifact, ExportedServerModel
from edgeship.pipeline.conversion.steps import Search
from edgeship.pipeline.evaluation import reference_outputs
from edgeship.pipeline.golden_inputs import golden_inputs_step
from edgeship.recipes.quantization import needs_data
from edgeship.settings import config
from edgeship.settings.variants import Variant
from edgeship.storage import cache, digest
from edgeship.types import to_json
from edgeship.untrusted import is_plain_name

if TYPE_CHECKING:
    from edgeship.pipeline.learning_head.models import SeparatedHead

KERAS = (".keras", ".h5")


def assemble_bundle(
    work: PipelineContext,
    model: Path,
    settings: config.Config,
    formats: Sequence[str],
    evaluation: RepresentativeDataset | None,
) -> tuple[Manifest, Future[cache.Entry] | None]:
    """Convert into the draft; the server model's answers on the evaluation data are begun meanwhile."""
    check_model(model)
    head = _separate_head(work, model, settings, formats) if settings.learning.head_step else None
    pairs, skipped = plan(settings, formats)
    converter = Converter(work.queue, model, settings, pairs, _find_search(pairs))
    _check_data(converter, pairs, evaluation)
    golden_step = golden_inputs_step(converter.steps)
    reference_step = reference_outputs.reference_step(model, settings, evaluation) if evaluation else None
    futures = converter.start([golden_step, *([reference_step] if reference_step else [])])
    golden_inputs = futures[golden_step.name]
    reference = futures[reference_step.name] if reference_step else None
    with golden_run.GoldenRuns(work, golden_inputs) as runs:
        runs.follow(converter.artifacts)
        _check_answers(settings, reference)
        conversion = converter.finish()
        conversion = converter.leave_out(conversion, runs.find_failures(conversion), failures.RUN)
        golden_runs = runs.write(work.draft / "goldens", conversion)
        clear = runs.find_clear(golden_runs)
    golden = golden_inputs.result()
    manifest = Manifest(
        files={},
        artifacts=tuple(_place_artifact(work.draft, artifact) for artifact in conversion.artifacts),
        measurements=(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        labels=tuple(settings.data.labels) or None,
        server_model=place_server_model(work.draft, conversion.server, settings),
        config=to_json(settings.to_manifest()),
        data={"calibration": describe_data(converter.steps.data, settings.data.calibration_samples)},
        skipped=tuple(skipped),
        failures=conversion.failures,
        tools=cache.versions(*known_formats.all_tools()),
        machine=machine.describe_machine(),
        preprocessing=golden.raw.pictures,
        goldens=GoldenSet(
            samples=len(next(iter(golden.inputs.values()))),
            source="representative dataset" if golden.data else "random (no --data was given)",
            server=conversion.server.digest,
            artifacts=golden_runs,
        ),
    )
    answered = (golden.raw, golden.expected)
    description = conversion.server.description
    write_contract(work.draft, find_contract(work, model, manifest, description, answered, clear, settings))
    if head:
        from edgeship.pipeline.learning_head.build import write_learning

        manifest = write_learning(work, head, settings, formats, manifest)
    return manifest, reference


def _separate_head(
    work: PipelineContext, model: Path, settings: config.Config, formats: Sequence[str]
) -> SeparatedHead:
    """The model before its last layer, where it is to learn: what cannot is refused before anything is converted."""
    from edgeship.pipeline.learning_head import models  # few bundles have it: the others start without

    return models.separate_head(work, model, settings, formats)


def _find_search(pairs: Sequence[tuple[Variant, str]]) -> Search | None:
    """What a variant that leaves its precision open is made by; None where there is none, which spares its imports."""
    if all(variant.quantize != "auto" for variant, _ in pairs):
        return None
    from edgeship.pipeline.layerwise import mixed_precision

    return mixed_precision.add_steps


def _check_data(
    converter: Converter, pairs: Sequence[tuple[Variant, str]], evaluation: RepresentativeDataset | None
) -> None:
    """Refuse data that does not fit the model as soon as its inputs are known, before anything is converted."""
    settings, variants = converter.steps.config, [variant for variant, _ in pairs]
    if evaluation is None and settings.data.evaluation and any(variant.quantize == "auto" for variant in variants):
        evaluation = RepresentativeDataset(settings.data.evaluation)
    further = {settings.data.train: settings.training.samples, settings.data.validation: None}
    trains = any(variant.recipes for variant in variants)
    training = [(RepresentativeDataset(source), limit) for source, limit in further.items() if trains and source]
    described = converter.describe()
    model = data_checks.Interface(described.inputs, described.outputs)
    check_labels(settings.data.labels, model.outputs, settings.benchmark.output, settings.source)
    check_outputs(settings.output, model.outputs, settings.source)
    if converter.steps.data:
        calibrates = any(needs_data(variant.quantize) for variant in variants)
        data_checks.check_calibration(converter.steps.data, model, all_samples=calibrates)
    if settings.input:
        data_checks.check_stated_inputs(converter.steps.data, model, settings)
    if evaluation:
        budget = Budget.parse(settings.budget, settings.source)
        data_checks.check_evaluation(evaluation, model, settings, budget)
    for data, limit in training:
        data_checks.check_training(data, model, limit)


def _check_answers(settings: config.Config, reference: Future[cache.Entry] | None) -> None:
    """Refuse a limit on same answers of a model that gives none, as soon as its outputs are known."""
    budget = Budget.parse(settings.budget, settings.source)
    if reference and budget.limits_agreement:
        outputs = load(reference.result().path / "outputs.npz")
        reference_outputs.check_agreement_limit(outputs, budget, settings)


def _place_artifact(draft: Path, converted_artifact: ConvertedArtifact) -> ArtifactEntry:
    """Copy an artifact from the cache to its place in the bundle, and describe it for the manifest."""
    artifact = converted_artifact.artifact
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
        digest=converted_artifact.digest,
        content=digest.of_path(place),
        receipt=converted_artifact.receipt,
        bridge=artifact.bridge,
    )


def place_server_model(draft: Path, server: ExportedServerModel, settings: config.Config) -> ServerModelEntry:
    """The server model travels in the bundle: `benchmark` compares with it wherever the bundle goes."""
    source = server.path
    name = source.name if is_plain_name(source.name) else f"model{source.suffix if source.suffix in KERAS else ''}"
    target = draft / "server" / name
    target.parent.mkdir()
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    if digest.of_path(target) != server.digest:
        raise digest.changed_error(source)
    description = server.description
    return ServerModelEntry(
        path=target.relative_to(draft).as_posix(),
        digest=server.digest,
        inputs=description.inputs,
        outputs=description.outputs,
        parameters=description.parameters,
        loader=description.loader,
        notes=description.notes,
        loading=asdict(settings.model),
    )


def describe_named_data(settings: config.Config) -> dict[str, DataEntry | None]:
    """What the manifest keeps of further data: by its digest `benchmark` and `debug` know it again."""
    limits = {"evaluation": settings.data.evaluation_samples, "train": settings.training.samples}
    return {key: describe_data(data, limits.get(key)) for key, data in data_checks.named_datasets(settings).items()}


def describe_data(data: RepresentativeDataset | None, limit: int | None) -> DataEntry | None:
    """What the manifest says of a data source, of which at most `limit` samples are taken."""
    return DataEntry(Path(data.source).name, data.digest, len(data), limit) if data else None
