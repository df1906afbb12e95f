"""`quantize = "auto"`: int8, with the fewest and cheapest layers in higher precision that the gate's own checks ask for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgeship import types
from edgeship.benchmarks.gate.budget import NO_LABELS, Budget
from edgeship.data import RepresentativeDataset
from edgeship.errors import CheckError, InputError
from edgeship.formats.formats import FILES, QUANTIZERS
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.conversion import plan
from edgeship.pipeline.conversion.source import StepOutput
from edgeship.pipeline.conversion.steps import ConversionSteps
from edgeship.pipeline.evaluation import reference_outputs
from edgeship.pipeline.layerwise import layer_sensitivity
from edgeship.pipeline.layerwise.layer_sensitivity import LayerwiseModel
from edgeship.pipeline.layerwise.onnx_trials import OnnxLayerwiseModel
from edgeship.pipeline.layerwise.precision_search import MixedPrecisionSearch, NothingHelpsError, SearchReport
from edgeship.pipeline.layerwise.trials import OtherFormat, Trials, keras_layers
from edgeship.pipeline.step_queue import FunctionStep, StepRun, run_cached
from edgeship.processes.executors import QUANTIZE
from edgeship.settings.variants import Variant
from edgeship.storage import cache
from edgeship.typed_json import convert
from edgeship.types import to_json

MODELS: Mapping[str, type[LayerwiseModel]] = {model.format: model for model in (LayerwiseModel, OnnxLayerwiseModel)}


@dataclass(frozen=True)
class SearchedArtifact:
    """What a search ended with: the file and its report, or why there is none."""

    entry: cache.Entry | None = None
    report: SearchReport | None = None
    error: CheckError | None = None


@dataclass(frozen=True)
class _Failure:
    """Why a search found nothing, and the layers that it kept last."""

    failure: str
    layers: tuple[str, ...] = ()


def add_steps(steps: ConversionSteps, variant: Variant, file_format: str) -> str:
    """Add the steps of an auto variant's artifact; returns the name of the last, whose value is a `StepOutput`.

    Raises InputError without evaluation data.
    """
    searched = _add_search(steps, variant, file_format)
    base = steps.convert(variant, file_format)

    def take(run: StepRun) -> StepOutput:
        read, found = run.inputs[base], run.inputs[searched]
        if found.error:
            raise found.error
        tools = cache.versions(*QUANTIZERS[file_format])
        recipe = found.report.recipe.record(found.report.io)
        floats = found.report.float_operators
        recorded = types.Step(
            "quantize", read.entry.digest, {**recipe, "float_operators": list(floats)} if floats else recipe, tools
        )
        return StepOutput(found.entry, (*read.steps, recorded))

    name = f"take {file_format}/{variant.name}"
    return steps.add(FunctionStep(name=name, executors=QUANTIZE, needs=(base, searched), function=take))


def _add_search(steps: ConversionSteps, variant: Variant, file_format: str) -> str:
    """Add the search for a variant's layers in higher precision; its value is a `SearchedArtifact`.

    What an `.onnx` needs is guessed from what the `.tflite` of the variant needed, where that is made, too.
    """
    settings = steps.config
    if settings.data.evaluation is None:
        raise InputError(plan.NO_DATA)
    data = RepresentativeDataset(settings.data.evaluation)
    server = steps.export()
    answers = steps.add(reference_outputs.reference_step(steps.model.path, settings, data))
    before = (
        [_add_search(steps, variant, "tflite")]
        if file_format != "tflite" and (variant, "tflite") in steps.pairs
        else []
    )

    def function(run: StepRun) -> SearchedArtifact:
        layerwise = MODELS[file_format].read(run, steps, variant)
        inputs = run.inputs[server].description.inputs
        reference = reference_outputs.build_reference(inputs, settings, data, run.inputs[answers])
        budget = Budget.parse(settings.budget, settings.source)
        if not reference.labels and budget.wants_accuracy:
            raise InputError(f"{settings.data.evaluation}: {NO_LABELS}")
        others = [item for name in before if (item := _describe_other(variant, run.inputs[name].report))]
        with layer_sensitivity.judging(reference, settings.benchmark.metric_choice, layer_sensitivity.SAMPLES) as (
            every,
            few,
        ):
            return _find(Trials(layerwise, variant, budget, every, few, others))

    needs = (*layer_sensitivity.steps_of(steps, variant, file_format), server, answers, *before)
    name = f"search {file_format}/{variant.name}"
    return steps.add(FunctionStep(name=name, executors=QUANTIZE, needs=needs, function=function))


def _describe_other(variant: Variant, report: SearchReport | None) -> OtherFormat | None:
    """What the `.tflite` of a variant needed; None where nothing helped it."""
    if report is None:
        return None
    return OtherFormat(f"tflite/{variant.name}", tuple(sorted(keras_layers(report.recipe.layers))), report.noise)


def _find(trials: Trials) -> SearchedArtifact:
    """Search, or find what was searched before, with a file or the reason why no choice of layers lets the gate pass."""
    layerwise, variant = trials.layerwise, trials.variant
    key = {
        **layerwise.key,
        **layer_sensitivity.judged_by(trials.every, layerwise.format),
        "few": trials.few.reference.data.digest,
        "budget": trials.budget,
        "variant": variant.name,
        "io": variant.io,
        "others": trials.others,
    }

    def make(folder: Path) -> SearchReport | _Failure:
        with tempfile.TemporaryDirectory(prefix="edgeship-auto-") as scratch:
            trials.scratch = Path(scratch)
            try:
                return MixedPrecisionSearch(trials).perform(folder / FILES[layerwise.format])
            except NothingHelpsError as error:
                if trials.crashed:
                    raise
                return _Failure(str(error), error.layers)

    label = f"{layerwise.format}: {variant.name}, layers in higher precision"
    try:
        entry = run_cached(layerwise.run, label, "auto", to_json(key), make)
    except CheckError as error:
        return SearchedArtifact(error=error)
    if "failure" in entry.result:
        found = convert(_Failure, entry.result)
        return SearchedArtifact(error=CheckError(found.failure).about(found.layers))
    return SearchedArtifact(entry, convert(SearchReport, entry.result))
