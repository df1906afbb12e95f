"""Files that others made, compared with a server model: a bundle of artifacts of unknown origin, measured and judged."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np

from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.measure import sampling
from edgeship.benchmarks.measure.benchmark import Reference
from edgeship.bundle import bundle as bundles
from edgeship.bundle import goldens
from edgeship.bundle.manifest import ArtifactEntry, GoldenRun, GoldenSet, Manifest
from edgeship.bundle.receipt import Receipt
from edgeship.data import Batch, RepresentativeDataset
from edgeship.devices import machine
from edgeship.errors import InputError
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.pipeline import data_checks
from edgeship.pipeline.assemble import place_server_model
from edgeship.pipeline.context import PipelineContext, check_model, open_draft
from edgeship.pipeline.conversion.source import ConversionResult, ConvertedArtifact, ExportedServerModel, ModelSource
from edgeship.pipeline.conversion.steps import ConversionSteps
from edgeship.pipeline.evaluation import reference_outputs
from edgeship.pipeline.foreign import files as foreign_files
from edgeship.pipeline.foreign.matching import MatchOptions, Sides
from edgeship.pipeline.golden_inputs import GoldenInputs
from edgeship.pipeline.golden_run import GoldenRuns
from edgeship.pipeline.ship import judge_draft, measure_draft, write_verdict
from edgeship.processes.child import FunctionProcess
from edgeship.runtimes import bridging
from edgeship.runtimes.worker_pool import Pool
from edgeship.settings import config
from edgeship.storage import cache as store
from edgeship.types import to_json

NO_DATA = "no evaluation data to compare on: give --data evaluation.npz (inputs, and labels y for accuracy)"


@dataclass(frozen=True)
class FileOptions:
    """How files are measured: how they are `match`ed, and whether with a report.

    `figures` are those that are taken, beside those that the budget limits; None: all, and the comparison with twins.
    """

    match: MatchOptions = field(default_factory=MatchOptions)
    figures: frozenset[str] | None = None
    report: bool = True


def measure_files(
    files: Sequence[Path], model: Path, out: Path, settings: config.Config, options: FileOptions
) -> Manifest:
    """Measure files against a server model, judge them by the settings' budget, and write a bundle of them to `out`.

    Raises InputError for what is no model, or cannot be compared with this one.
    """
    budget = data_checks.check_settings(settings)
    if not settings.data.evaluation:
        raise InputError(NO_DATA)
    check_model(model)
    evaluation = RepresentativeDataset(settings.data.evaluation)
    # Without what makes artifacts of one's own, but for what calibrates their twins.
    data = replace(settings.data, train=None, validation=None)
    settings = replace(settings, variants=(), data=data)
    with open_draft(out, retry=True) as work:
        entries = foreign_files.copy_files(files, work.draft)
        with ExitStack() as stack:
            child = cache(lambda: stack.enter_context(FunctionProcess("inspect")))
            entries = [foreign_files.read_entry(work.draft, entry, child) for entry in entries]
        server = _describe_server(work, model, settings)
        interface = data_checks.Interface(server.inputs, server.description.outputs)
        data_checks.check_evaluation(evaluation, interface, settings, budget)
        step = reference_outputs.reference_step(model, settings, evaluation)
        reference: Future[store.Entry] = work.queue.submit([step])[step.name]
        answers = reference_outputs.build_reference(server.inputs, settings, evaluation, reference.result())
        samples = _pick_samples(answers)
        matches = _match_entries(work, entries, server, samples, options)
        golden = GoldenInputs(server.inputs, *samples, evaluation)
        runs = _run_goldens(work, server, matches, golden, replayed=options.report)
        manifest = _write_draft(work, server, settings, matches, runs)
        figures = _choose_figures(options.figures, budget)
        twinned = options.figures is None
        manifest, answered = measure_draft(work, manifest, settings, evaluation, reference, figures, with_twins=twinned)
        manifest = (
            write_verdict(work, manifest, budget, answered) if options.report else judge_draft(work, manifest, budget)
        )
        return bundles.seal_bundle(work.draft, manifest)


def _choose_figures(wanted: frozenset[str] | None, budget: Budget) -> frozenset[str] | None:
    """The figures that were asked for, and those that the budget limits: what it limits and nobody takes would fail."""
    tables = [budget, *(budget.for_artifact(pattern) for pattern in budget.overrides)]
    limited = any(limit is not None for table in tables for limit in (table.max_latency_ratio, table.max_peak_memory))
    return wanted | {"speed"} if wanted is not None and limited else wanted


def _describe_server(work: PipelineContext, model: Path, settings: config.Config) -> ExportedServerModel:
    settings = replace(settings, data=replace(settings.data, calibration=None))  # it is looked at when it is needed
    source = ModelSource.read(model, settings)
    steps = ConversionSteps(source, settings)
    name = steps.describe()
    return ExportedServerModel(model, source.digest, work.queue.submit(steps.steps.values())[name].result())


def _pick_samples(answers: Reference) -> tuple[Batch, Batch]:
    """A few samples, spread evenly, and the server model's outputs for them."""
    rows = np.unique(np.linspace(0, answers.samples - 1, goldens.SAMPLES).round().astype(np.int64))
    (feeds,) = sampling.select_rows(answers.batches(), rows, len(rows))
    return feeds, {name: array[rows] for name, array in answers.outputs.items()}


def _match_entries(
    work: PipelineContext,
    entries: Sequence[ArtifactEntry],
    server: ExportedServerModel,
    samples: tuple[Batch, Batch],
    options: FileOptions,
) -> tuple[ArtifactEntry, ...]:
    sides = Sides(server.inputs, server.description.outputs)
    matches = []
    with Pool() as pool:
        for entry in entries:
            match = foreign_files.match_entry(work.draft, entry, sides, samples, options.match, pool)
            for note in match.foreign.notes if match.foreign else ():
                work.progress.note(f"{match.id}: {note}")
            matches.append(match)
    return tuple(matches)


def _run_goldens(
    work: PipelineContext,
    server: ExportedServerModel,
    entries: Sequence[ArtifactEntry],
    golden: GoldenInputs,
    *,
    replayed: bool,
) -> GoldenSet:
    """Write the goldens into the draft; where `verify` is to replay them, with what each file gives on all sets of kernels."""
    folder, found = work.draft / "goldens", dict[str, GoldenRun]()
    if replayed:
        answered: Future[GoldenInputs] = Future()
        answered.set_result(golden)
        artifacts = tuple(_bridged_artifact(work.draft, entry) for entry in entries)
        with GoldenRuns(work, answered) as runs:
            found = runs.write(folder, ConversionResult(server, artifacts, work.draft))
    else:
        goldens.write_goldens(folder, golden.inputs, golden.expected, {})
    count = len(next(iter(golden.inputs.values())))
    return GoldenSet(count, "evaluation data", server.digest, found)


def _bridged_artifact(draft: Path, entry: ArtifactEntry) -> ConvertedArtifact:
    """A file as an artifact that has the server model's tensors, as its sessions have them."""
    artifact = entry.within(draft)
    outputs = bridging.describe_tensors(artifact.outputs, artifact.bridge)
    return ConvertedArtifact(replace(artifact, outputs=outputs), entry.receipt or Receipt(entry.format), entry.digest)


def _write_draft(
    work: PipelineContext,
    server: ExportedServerModel,
    settings: config.Config,
    entries: tuple[ArtifactEntry, ...],
    golden: GoldenSet,
) -> Manifest:
    """The draft's manifest without figures, and its server model."""
    return Manifest(
        files={},
        artifacts=entries,
        measurements=(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        labels=tuple(settings.data.labels) or None,
        server_model=place_server_model(work.draft, server, settings),
        config=to_json(settings.to_manifest()),
        tools=store.versions(*formats.TENSORFLOW),
        machine=machine.describe_machine(),
        goldens=golden,
    )
