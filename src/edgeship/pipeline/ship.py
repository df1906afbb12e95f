"""The whole way: convert, benchmark, gate and report, in one bundle that is written beside its place and moved into it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.benchmarks.compare import parity_matrix
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge, judge_again, record_doubts
from edgeship.benchmarks.gate.sample_sizes import note_thin_evaluation
from edgeship.benchmarks.gate.server_checks import suggest_floors
from edgeship.benchmarks.measure import quality
from edgeship.benchmarks.measure.benchmark import NO_DATA, NO_SERVER_MODEL, Benchmark, Reference, Settings
from edgeship.benchmarks.report import flipped_samples as samples
from edgeship.benchmarks.report.html_report import FILE as REPORT
from edgeship.benchmarks.report.html_report import draw_plots, write_report
from edgeship.bundle import bundle as bundles
from edgeship.bundle import goldens
from edgeship.bundle.figures.comparisons import AccuracyReport, LayerSensitivity
from edgeship.bundle.figures.measurement import OperatorTimes
from edgeship.bundle.manifest import Manifest, ServerModelEntry
from edgeship.data import RepresentativeDataset
from edgeship.deploy.contract.file import FILE as CONTRACT
from edgeship.deploy.contract.file import record_temperatures
from edgeship.formats.formats import FORMATS
from edgeship.pipeline import data_checks
from edgeship.pipeline.assemble import assemble_bundle, describe_data, describe_named_data
from edgeship.pipeline.context import PipelineContext, check_model, open_draft, open_queue, runs_server_models
from edgeship.pipeline.evaluation import confidence_calibration, measurement_plan, reference_outputs
from edgeship.pipeline.evaluation.answers import write_answers
from edgeship.pipeline.evaluation.reference_profile import write_profile
from edgeship.pipeline.layerwise.quick_look import look_at_layers
from edgeship.pipeline.run_settings.of_bundle import located_config
from edgeship.settings import config, permissions
from edgeship.storage import cache, digest
from edgeship.toml_tables import toml_value
from edgeship.types import to_json
from edgeship.untrusted import damage_as_input_error


def convert_model(
    model: Path,
    out: Path,
    settings: config.Config,
    formats: Sequence[str] = FORMATS,
    store: cache.Cache | None = None,
) -> Manifest:
    """Write a bundle with the artifacts, their receipts and the goldens; nothing is measured. Returns the manifest.

    `store`: where results of steps are kept and taken from, by default the user's cache.
    """
    data_checks.check_settings(settings)
    with open_draft(out, store=store) as work:
        manifest, _ = assemble_bundle(work, model, settings, formats, None)
        manifest = replace(manifest, data={**manifest.data, **describe_named_data(settings)})
        manifest = bundles.seal_bundle(work.draft, _with_places(manifest, out, model))
    return manifest


def ship_model(model: Path, out: Path, settings: config.Config, formats: Sequence[str] = FORMATS) -> Manifest:
    """Convert, benchmark, gate and report in one go. Returns the manifest with its verdict.

    A bundle is written also where the gate says no: it shows why. Only errors leave nothing.
    """
    budget, evaluation = _read_budget_and_data(settings)
    with open_draft(out) as work:
        manifest, reference = assemble_bundle(work, model, settings, formats, evaluation)
        manifest, answers = measure_draft(work, manifest, settings, evaluation, reference)
        manifest = look_at_layers(work.draft, work.queue, manifest, settings, budget)
        manifest = write_verdict(work, manifest, budget, answers)
        gate = manifest.gate
        whole = gate and any(not check.artifact and check.verdict != "PASS" for check in gate.checks)
        if budget.min_server_accuracy is None and not whole and (floors := suggest_floors(manifest.constant_answers)):
            line = f"min_server_accuracy = {toml_value(floors)} in [budget]"
            work.progress.note(f"{line} would guard against a worse server model")
        manifest = bundles.seal_bundle(work.draft, _with_places(manifest, out, model))
    return manifest


def _with_places(manifest: Manifest, root: Path, model: Path) -> Manifest:
    """The manifest of a bundle in `root` with where its configuration's paths start and its server model lay."""
    server = replace(manifest.server, source=bundles.place_seen_from(root, model))
    return replace(manifest, folder=bundles.place_seen_from(root, Path.cwd()), server_model=server)


def benchmark_bundle(bundle: bundles.Bundle, settings: config.Config, out: Path) -> Manifest:
    """Measure every artifact of a bundle (or read it from the cache), judge it by its budget, write the report.

    The bundle with its figures is written to `out`, which may be its own place. What speaks against an artifact's origin is
    told and kept: it stays a failure of the gate.
    """
    budget, evaluation = _read_budget_and_data(settings)
    if evaluation:
        data_checks.check_evaluation(evaluation, _model_interface(bundle.manifest.server), settings, budget)
    with open_draft(out, retry=True) as work:
        bundles.link_tree(bundle.root, work.draft)
        shutil.rmtree(work.draft / "report", ignore_errors=True)
        with damage_as_input_error(bundle.root / bundles.MANIFEST):  # its figures may be none
            doubted = record_doubts(bundle.manifest)
        for item in doubted.artifacts:
            if item.doubt:
                work.progress.note(f"{item.id}: {item.doubt}; measured as it is, and no PASS", "")
        model = work.draft / bundle.manifest.server.path
        answered = evaluation if runs_server_models() else None
        reference = None
        if answered:
            step = reference_outputs.reference_step(model, settings, answered)
            reference = work.queue.submit([step])[step.name]
        manifest, answers = measure_draft(work, doubted, settings, evaluation, reference, with_twins=True)
        with damage_as_input_error(bundle.root / bundles.MANIFEST):  # what it says of steps and layers may be anything
            manifest = write_verdict(work, manifest, budget, answers)
        config_kept = permissions.keep_grants(dict(manifest.config or {}), located_config(bundle))
        manifest = replace(manifest, config=config_kept, folder=bundles.place_seen_from(bundle.root, Path.cwd()))
        manifest = bundles.seal_bundle(work.draft, manifest)
    return manifest


def debug_bundle(
    bundle: bundles.Bundle, settings: config.Config, artifact: str | None, samples: int
) -> LayerSensitivity:
    """Find which layer of an int8 `.tflite` does it (`layer_sensitivity.examine`); bundle and report keep what was found."""
    from edgeship.pipeline.layerwise import (
        layer_sensitivity,  # with the quantizer's modules: `ship` starts without them
    )

    model = bundle.root / bundle.manifest.server.path
    check_model(model)
    with open_draft(bundle.root) as work:
        sensitivity = layer_sensitivity.examine(bundle, work.queue, settings, artifact, samples)
        bundles.link_tree(bundle.root, work.draft)
        manifest = judge_again(
            replace(bundle.manifest, debug={**bundle.manifest.debug, sensitivity.artifact: sensitivity})
        )
        report = work.draft / REPORT
        if report.is_file():
            report.unlink()  # it is the old bundle's too
            with damage_as_input_error(bundle.root / bundles.MANIFEST):
                write_report(work.draft, manifest)
        bundles.seal_bundle(work.draft, manifest)
    return sensitivity


def profile_bundle(bundle: bundles.Bundle, settings: config.Config, artifact: str | None) -> OperatorTimes:
    """The time of each operator of an artifact (`operator_times.profile`); the bundle stays as it is."""
    from edgeship.pipeline.layerwise import operator_times

    check_model(bundle.root / bundle.manifest.server.path)
    with open_queue() as queue:
        return operator_times.profile(bundle, queue, settings, artifact)


def _read_budget_and_data(settings: config.Config) -> tuple[Budget, RepresentativeDataset | None]:
    """The budget and the evaluation data, read before any work so that what is wrong is refused at once."""
    data = settings.data.evaluation
    return data_checks.check_settings(settings), RepresentativeDataset(data) if data else None


def _model_interface(model: ServerModelEntry) -> data_checks.Interface:
    return data_checks.Interface(model.inputs, model.outputs)


def measure_draft(
    work: PipelineContext,
    manifest: Manifest,
    settings: config.Config,
    evaluation: RepresentativeDataset | None,
    reference: Future[cache.Entry] | None,
    figures: frozenset[str] | None = None,
    *,
    with_twins: bool = False,
) -> tuple[Manifest, Reference | None]:
    """Measure what the draft holds: the manifest with the figures, and the server model's answers where there are some.

    `figures`: see `edgeship.benchmarks.measure.benchmark.Settings`. `with_twins`: it was not made in this run, so that each
    artifact is compared with one that is.
    """
    answers = None
    if evaluation and reference:
        answers = reference_outputs.build_reference(manifest.server.inputs, settings, evaluation, reference.result())
    labelled_answers = answers if answers and answers.labels else None
    bench = _open_benchmark(work, settings, answers, figures)
    itself = _compare_server(work, bench, labelled_answers, settings) if labelled_answers else None
    bench.no_reference_reason = NO_SERVER_MODEL if evaluation and not reference else NO_DATA
    subjects = {item.id: measurement_plan.measured_artifact(work.draft, item) for item in manifest.artifacts}
    manifest = replace(
        manifest,
        config=to_json(settings.to_manifest()),
        data={
            **manifest.data,
            **describe_named_data(settings),
            "evaluation": describe_data(evaluation, settings.data.evaluation_samples),
        },
        server_measurement=quality.server_figures(itself) if itself else None,
        constant_answers=quality.server_skill(bench, labelled_answers, itself) if labelled_answers and itself else {},
        measurements=tuple(measurement_plan.measure_artifacts(bench, subjects, settings)),
        between_formats=tuple(quality.compare_formats(bench, list(subjects))),
    )
    if with_twins:
        from edgeship.pipeline.evaluation import twins  # with all that a conversion needs

        manifest = twins.compare_twins(work, manifest, settings, bench)
    measurement_plan.advise_litert_js(work.progress, subjects, settings)
    if labelled_answers:
        manifest = confidence_calibration.repair_confidences(work, work.draft, manifest, settings, labelled_answers)
        record_temperatures(work.draft, manifest.artifacts)
    return manifest, replace(answers, answers=bench.outputs) if answers else None


def _compare_server(
    work: PipelineContext, bench: Benchmark, answers: Reference, settings: config.Config
) -> AccuracyReport:
    """The server model in an artifact's place; says where even that has too little data to pass."""
    itself = quality.compare_with_itself(bench, answers)
    budget = Budget.parse(settings.budget, settings.source)
    for note in note_thin_evaluation(itself, budget, answers.samples):
        work.progress.note(f"{answers.data.source}: {note}")
    return itself


def _open_benchmark(
    work: PipelineContext, settings: config.Config, answers: Reference | None, figures: frozenset[str] | None
) -> Benchmark:
    how = Settings(settings.benchmark.profile, settings.benchmark.metric_choice, work.retry, figures)
    bench = Benchmark(work.cache, work.progress, how, answers)
    golden = goldens.read_goldens(work.draft / "goldens", "inputs")
    bench.sample = {name: array[:1] if array.ndim else array for name, array in golden.items()}
    return bench


def judge_draft(work: PipelineContext, manifest: Manifest, budget: Budget) -> Manifest:
    """Judge what was measured of the draft. Returns the manifest with the verdict."""
    manifest = replace(
        manifest, matrix=parity_matrix.build_parity_matrix(manifest), files=bundles.file_digests(work.draft)
    )
    return replace(manifest, gate=judge(manifest, budget))


def write_verdict(work: PipelineContext, manifest: Manifest, budget: Budget, answers: Reference | None) -> Manifest:
    """Judge what was measured and write its report into the draft. Returns the manifest with the verdict."""
    manifest = judge_draft(work, manifest, budget)
    write_answers(work.draft, manifest, answers)
    write_profile(work, manifest, answers)
    if answers:
        samples.write_samples(work.draft, manifest, answers.batches())
    plotted = {name: to_json(getattr(manifest, name)) for name in ("measurements", "labels", "debug")}
    plots = work.cache.get("plots", {**plotted, "tools": cache.versions("matplotlib")}, lambda _: draw_plots(manifest))
    templates = cache.own_folder(work.cache.folder / "templates")
    write_report(work.draft, manifest, plots.result, templates, _summarize_contract(work))
    return manifest


def _summarize_contract(work: PipelineContext) -> Sequence[Any]:
    """The lines of a draft's contract, as JSON."""
    path = work.draft / CONTRACT
    if not path.exists():
        return ()

    def make(_: Path) -> Any:
        from edgeship.deploy.contract.summary import read_summary

        return read_summary(work.draft)

    lines: list[Any] = work.cache.get("contract-lines", {"contract": digest.of_path(path)}, make).result
    return lines
