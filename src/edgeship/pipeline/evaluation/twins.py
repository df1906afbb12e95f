"""The twin of each artifact: made anew from the bundle's own server model, by the same steps, and compared with it.

What `ship` has just made is its own twin. A bundle that is measured later may hold other files: of other tool versions, of a
vendor's tool, or of another model. The steps are those of a conversion, so where the bundle was made on this machine the twin
lies in the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace

from edgeship.benchmarks.measure import quality
from edgeship.benchmarks.measure.benchmark import Benchmark, MeasuredArtifact, Target
from edgeship.bundle.figures.comparisons import FileComparison, TwinComparison
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.mixed_precision import kept_layers
from edgeship.bundle.receipt import Receipt
from edgeship.devices import profiles
from edgeship.errors import EdgeshipError, InputError
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.context import PipelineContext, runs_server_models
from edgeship.pipeline.conversion.converter import Converter
from edgeship.pipeline.conversion.source import ConvertedArtifact, ModelSource
from edgeship.pipeline.evaluation import measurement_plan
from edgeship.processes.executors import ProcessExecutor
from edgeship.recipes.quantization import needs_data
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant, default_variants
from edgeship.storage import digest
from edgeship.typed_json import convert

NO_TENSORFLOW = "no twin: the server model needs TensorFlow, which is not installed"
UNKNOWN = "no twin: the bundle's configuration has no such variant"
TRAINED = "no twin: it was trained further, which is not done again, and what came of that is not in the cache"
FOUR_BITS = ("int4", "uint4")
# What a file may be whose weights are of these types for the most part; the first that its format has.
RECIPES_OF = {
    ("float32",): ("float32",),
    ("float16",): ("float16",),
    ("int8", "uint8"): ("dynamic_w8", "weight_only_w8"),
    FOUR_BITS: ("dynamic_w4", "weight_only_w4"),
}
NOT_ALIKE = "it has layers in float, or its calibration data is not here"
NO_DATA = "no twin: there is neither its calibration data nor evaluation data here"


@dataclass(frozen=True)
class TwinPlan:
    """What twins are made of: which variant of which format, by artifact, or the reason for none.

    `config` has data to calibrate with. Of those that are `calibrated_alike`, or not at all, noise can be compared.
    """

    config: Config
    variants: Mapping[str, Variant]
    reasons: Mapping[str, str]
    calibrated_alike: frozenset[str]


def compare_twins(work: PipelineContext, manifest: Manifest, settings: Config, bench: Benchmark) -> Manifest:
    """The manifest with the comparison of every artifact of the draft with its twin (`Manifest.twins`)."""
    plan = plan_twins(manifest, settings, lambda variant: _is_trained_already(work, manifest, settings, variant))
    futures = _start(work, manifest, plan)
    twins: dict[str, TwinComparison] = {}
    for item in manifest.artifacts:
        subject = measurement_plan.measured_artifact(work.draft, item)
        reason = plan.reasons.get(item.id, "")
        try:
            twin = None if reason else futures[item.id].result()
        except EdgeshipError as error:
            reason, twin = f"no twin: {str(error).splitlines()[0]}", None
        if twin is None:
            twins[item.id] = TwinComparison(subject.digest, reason=reason)
            work.progress.note(f"{item.id}: {reason}", "")
            continue
        comparable = item.id in plan.calibrated_alike
        found = compare_artifact(work.executors.quantize, subject, twin, bench if comparable else None)
        if not (found.same or comparable):
            work.progress.note(f"{item.id}: its noise is not compared with a twin's: {NOT_ALIKE}", "")
        twins[item.id] = found
    return replace(manifest, twins=twins)


def _start(work: PipelineContext, manifest: Manifest, plan: TwinPlan) -> Mapping[str, Future[ConvertedArtifact]]:
    """Begin to make the twins: their futures, with those of other steps, by name."""
    if not plan.variants:
        return {}
    pairs = [(variant, name.partition("/")[0]) for name, variant in plan.variants.items()]
    return Converter(work.queue, work.draft / manifest.server.path, plan.config, pairs).start()


def _is_trained_already(work: PipelineContext, manifest: Manifest, settings: Config, variant: Variant) -> bool:
    """Whether the cache holds the model that a variant's training gave."""
    from edgeship.pipeline.conversion import training_step

    source = ModelSource.read(work.draft / manifest.server.path, settings)
    try:
        step = training_step.train_step(source, settings, variant.recipes)
        return work.cache.find(step.kind, step.key({})) is not None
    except InputError:  # the training data is not here
        return False


def plan_twins(manifest: Manifest, settings: Config, is_trained: Callable[[Variant], bool]) -> TwinPlan:
    """Which twins can be made, and how they are calibrated: as the artifacts were, else on the evaluation data.

    The layers that `auto` keeps are not searched for again: its twin has all of them in int8, where weights are the same but
    for their rounding. Nothing is trained again: `is_trained` tells of which variants the trained model is at hand.
    """
    calibration = settings.data.calibration
    alike = bool(calibration and (":" in calibration or os.path.exists(calibration)))
    data = replace(settings.data, calibration=calibration if alike else settings.data.evaluation)
    kinds = [item.format for item in manifest.artifacts]
    known = settings.variants
    if known is None:
        known = tuple(default_variants([name for name in formats.FORMATS if name in kinds], True))
    variants: dict[str, Variant] = {}
    reasons: dict[str, str] = {}
    comparable: set[str] = set()
    for item in manifest.artifacts:
        variant = next((one for one in known if one.name == item.variant and item.format in one.formats), None)
        if item.foreign:
            variant = _guess_variant(item)
        reason = _why_no_twin(variant, data.calibration, is_trained)
        if variant is None or reason:
            reasons[item.id] = reason
        else:
            plain = "static_w8a8" if variant.quantize == "auto" else variant.quantize
            variants[item.id] = replace(variant, quantize=plain)
            if not kept_layers(item.steps) and (alike or not needs_data(plain)):
                comparable.add(item.id)
    return TwinPlan(replace(settings, data=data), variants, reasons, frozenset(comparable))


def _guess_variant(item: ArtifactEntry) -> Variant:
    """The variant that is nearest to a file of unknown recipe, by what it holds; its edges are the file's own."""
    receipt, form = item.receipt or Receipt(item.format), formats.find(item.format)
    stored = {types: sum(receipt.weights.dtypes.get(name, 0) for name in types) for types in RECIPES_OF}
    most = max(stored, key=lambda types: stored[types])
    recipes = RECIPES_OF[most]
    if receipt.int8_op_share > 0 and most != FOUR_BITS:
        recipes = ("static_w8a8",)
    possible = [name for name in recipes if name in form.recipes and not form.recipes[name].refusal]
    integers = form.integer_io and any(spec.dtype in ("int8", "uint8") for spec in item.inputs)
    return Variant(item.variant, (*possible, "float32")[0], (item.format,), io="int8" if integers else "float32")


def _why_no_twin(variant: Variant | None, calibration: str | None, is_trained: Callable[[Variant], bool]) -> str:
    if not runs_server_models():
        return NO_TENSORFLOW
    if variant is None:
        return UNKNOWN
    if variant.recipes and not is_trained(variant):
        return TRAINED
    return NO_DATA if needs_data(variant.quantize) and not calibration else ""


def compare_artifact(
    executor: ProcessExecutor, subject: MeasuredArtifact, twin: ConvertedArtifact, bench: Benchmark | None
) -> TwinComparison:
    """An artifact beside its twin. Of equal files nothing more is looked at.

    The files are read in the executor's process. With a `bench` the twin answers the evaluation data on this machine, too.
    """
    place = measurement_plan.artifact_place(twin.artifact)
    content = digest.of_path(place)
    if content == subject.digest:
        return TwinComparison(subject.digest, same=True)
    from edgeship.convert.twins import compare  # with readers of all formats: most often the files are equal

    own = str(measurement_plan.artifact_place(subject.artifact))
    same_tools = [step.tools for step in subject.artifact.steps] == [step.tools for step in twin.artifact.steps]
    try:
        found = executor.call(
            compare.compare, artifact=own, twin=str(place), format=twin.artifact.format, same_tools=same_tools
        )
        files = convert(FileComparison, found)
    except EdgeshipError as error:
        files = FileComparison((f"it cannot be compared: {str(error).splitlines()[0]}",))
    noise = _twin_noise(bench, MeasuredArtifact(twin.artifact, content, twin.receipt)) if bench else {}
    return TwinComparison(subject.digest, files=files, sqnr_db=noise)


def _twin_noise(bench: Benchmark, twin: MeasuredArtifact) -> dict[str, float]:
    """The twin's SQNR in dB by output; nothing where there is nothing to compare with, or no runtime for it."""
    runtime = registry.for_format(twin.artifact.format)[0]
    if bench.reference is None or runtime.unavailable_reason():
        return {}
    target = Target(twin, runtime, find_launcher(profiles.find_device("host")))
    parity = quality.measure(bench, target).details.parity or {}
    return {name: output.sqnr_db for name, output in parity.items() if output.sqnr_db is not None}
