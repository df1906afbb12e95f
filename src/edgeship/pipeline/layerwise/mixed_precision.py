"""`quantize = "auto"`: int8, with the fewest and cheapest layers in higher precision that the gate's own checks ask for."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from edgeship import types
from edgeship.benchmarks.gate.advice import is_within_limit
from edgeship.benchmarks.gate.budget import NO_LABELS, Budget
from edgeship.benchmarks.measure.benchmark import Reference
from edgeship.benchmarks.measure.latency import Ratio
from edgeship.benchmarks.report import table_rows
from edgeship.bundle.comparisons import CandidateFigures
from edgeship.bundle.mixed_precision import MixedPrecisionRecipe, MixedPrecisionStep
from edgeship.data import RepresentativeDataset
from edgeship.errors import CheckError, EdgeshipError, InputError, brief_message
from edgeship.formats.formats import FILES, QUANTIZERS
from edgeship.optimize.quantize.mixed_precision_search import HighPrecisionLayers, SearchStep, search
from edgeship.pipeline.conversion import plan
from edgeship.pipeline.conversion.source import StepOutput
from edgeship.pipeline.conversion.steps import ConversionSteps
from edgeship.pipeline.evaluation import reference_outputs
from edgeship.pipeline.layerwise import candidate, layer_sensitivity
from edgeship.pipeline.layerwise.layer_sensitivity import LayerwiseModel
from edgeship.pipeline.step_queue import FunctionStep, Inputs, StepRun, run_cached
from edgeship.processes.executors import QUANTIZE
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant
from edgeship.storage import cache, digest
from edgeship.typed_json import convert
from edgeship.types import Artifact, Verdict, to_json

# With more layers than this share in higher precision a model is no int8 model any more.
MOST = 0.5
# int16 activations are taken instead of float where they are at most this much slower here: LiteRT's kernels for them are
# plain ones on a desktop processor, and fast ones on a microcontroller.
SLOWER = 1.05


@dataclass(frozen=True)
class SearchedArtifact:
    """The `.tflite` that a search ended with, its recipe, and the element type of its inputs and outputs."""

    entry: cache.Entry
    recipe: MixedPrecisionRecipe
    io: str
    float_operators: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchReport:
    """What a search ended with, the way to it in words, and the element type of the file's inputs and outputs.

    `float_operators`: those that int8 would have ruined, in whatever layer.
    """

    recipe: MixedPrecisionRecipe
    notes: tuple[str, ...]
    io: str
    float_operators: tuple[str, ...] = ()


class Standing(IntEnum):
    """What a trial file is worth to the gate, from least to most; UNDECIDED: nothing fails, with too few samples for a PASS."""

    FAILS = 0
    UNDECIDED = 1
    PASSES = 2
    HAS_ROOM = 3


@dataclass(frozen=True)
class JudgedTrial:
    """What a trial file is worth, and why it is not worth more."""

    standing: Standing
    reason: str = ""


def add_steps(steps: ConversionSteps, variant: Variant, file_format: str) -> str:
    """Add the steps of an auto variant's artifact; returns the name of the last, whose value is a `StepOutput`.

    The search is done on the `.tflite`; the same layers then stay float in the `.onnx`, which the gate judges as any other.
    Raises InputError without evaluation data.
    """
    searched = _add_search(steps, variant)
    base = steps.convert(variant, file_format)
    if file_format == "tflite":

        def take(run: StepRun) -> StepOutput:
            read, found = run.inputs[base], run.inputs[searched]
            tools = cache.versions(*QUANTIZERS["tflite"])
            recipe = found.recipe.record(found.io)
            recipe |= {"float_operators": list(found.float_operators)} if found.float_operators else {}
            recorded = types.Step("quantize", read.entry.digest, recipe, tools)
            return StepOutput(found.entry, (*read.steps, recorded))

        name = f"take {file_format}/{variant.name}"
        return steps.add(FunctionStep(name=name, executors=QUANTIZE, needs=(base, searched), function=take))
    exported = steps.exported(variant)

    def extra(inputs: Inputs) -> dict[str, Any]:
        float_layers = [part for layer in inputs[searched].recipe.layers for part in layer.split(" + ")]
        return {"float_layers": float_layers, "layers": list(inputs[exported].description.layers)}

    quantized = steps.add_quantize(variant, file_format, "static_w8a8", (searched, exported), extra)

    def record(run: StepRun) -> StepOutput:
        output: StepOutput = run.inputs[quantized]
        found: SearchedArtifact = run.inputs[searched]
        recipe = replace(found.recipe, precision="float32", steps=()).record(found.io)
        *before, last = output.steps
        return StepOutput(output.entry, (*before, replace(last, recipe={**last.recipe, **recipe})))

    name = f"record {file_format}/{variant.name}"
    return steps.add(FunctionStep(name=name, executors=QUANTIZE, needs=(quantized, searched), function=record))


def _add_search(steps: ConversionSteps, variant: Variant) -> str:
    """Add the search for a variant's layers in higher precision; its value is a `SearchedArtifact`."""
    settings = steps.config
    if settings.data.evaluation is None:
        raise InputError(plan.NO_DATA)
    data = RepresentativeDataset(settings.data.evaluation)
    server = steps.export()
    answers = steps.add(reference_outputs.reference_step(steps.model.path, settings, data))

    def function(run: StepRun) -> SearchedArtifact:
        layerwise = LayerwiseModel.read(run, steps, variant)
        inputs = run.inputs[server].description.inputs
        reference = reference_outputs.build_reference(inputs, settings, data, run.inputs[answers])
        return _search(layerwise, variant, settings, reference)

    needs = (*layer_sensitivity.steps_of(steps, variant), server, answers)
    return steps.add(FunctionStep(name=f"search {variant.name}", executors=QUANTIZE, needs=needs, function=function))


def _search(layerwise: LayerwiseModel, variant: Variant, settings: Config, reference: Reference) -> SearchedArtifact:
    """Search, or find what was searched before.

    Raises InputError without the labels that the budget asks for, CheckError where no choice of layers lets the gate pass:
    then nothing is shipped.
    """
    budget = Budget.parse(settings.budget, settings.source)
    if not reference.labels and budget.wants_accuracy:
        raise InputError(f"{settings.data.evaluation}: {NO_LABELS}")
    with layer_sensitivity.judging(reference, settings.benchmark.metric_choice, layer_sensitivity.SAMPLES) as (
        every,
        few,
    ):
        key = {
            **layerwise.key,
            **layer_sensitivity.judged_by(every),
            "few": few.reference.data.digest,
            "budget": budget,
            "variant": variant.name,
            "io": variant.io,
        }
        # Outside of the cached step: it has a line of progress and an entry of its own.
        sensitivity = layer_sensitivity.cached_sensitivity(
            layerwise, few, layer_sensitivity.ONLY_LAYER_INT8, variant.io
        )

        def make(folder: Path) -> SearchReport:
            with tempfile.TemporaryDirectory(prefix="edgeship-auto-") as scratch:
                mixed = _MixedPrecisionSearch(layerwise, variant, budget, every, few, Path(scratch))
                return mixed.perform(sensitivity, folder / FILES["tflite"])

        label = f"tflite: {variant.name}, layers in higher precision"
        found = run_cached(layerwise.run, label, "auto", to_json(key), make)
    report = convert(SearchReport, found.result)
    return SearchedArtifact(found, report.recipe, report.io, report.float_operators)


@dataclass
class _MixedPrecisionSearch:
    """One search: writes trial files with inputs and outputs of type `io`, has them judged, and remembers what each was worth."""

    layerwise: LayerwiseModel
    variant: Variant
    budget: Budget
    every: candidate.CandidateJudge
    few: candidate.CandidateJudge
    scratch: Path
    io: str = "auto"
    known: dict[tuple[str, str, HighPrecisionLayers, bool], JudgedTrial] = field(default_factory=dict)

    def perform(self, sensitivity: Sequence[CandidateFigures], out: Path) -> SearchReport:
        """Search, write the file to `out`, and tell what was done.

        It looks for a file that passes with room to spare, then for one that just passes, then for the same with float inputs
        and outputs (which an app notices) where the variant left them open, and at last for one that so few samples do not
        decide. Raises CheckError where there is none.
        """
        layers = self.layerwise.layers
        order = sorted(range(len(layers)), key=lambda index: _sort_key(sensitivity[index]))
        costs = [float(layer.weight_bytes) for layer in layers]
        edges = ("auto", "float32") if self.variant.io == "auto" else (self.variant.io,)
        attempts = [(io, wanted) for io in edges for wanted in (Standing.HAS_ROOM, Standing.PASSES)]
        for self.io, wanted in (*attempts, *((io, Standing.UNDECIDED) for io in edges)):

            def confirm(kept: HighPrecisionLayers, wanted: Standing = wanted) -> bool:
                return self.passes(kept, True, wanted)

            found = search(order, costs, lambda kept: self.passes(kept, False, Standing.UNDECIDED), confirm, self.most)
            if found.kept is not None:
                return self._finish(found.kept, found.steps, wanted, out)
        raise CheckError(self._nothing_helps(found.reason, found.steps))

    def _finish(
        self, kept: HighPrecisionLayers, tried: Sequence[SearchStep], wanted: Standing, out: Path
    ) -> SearchReport:
        steps = [self._price_step(step, "float32") for step in tried if step.passed or step.done in ("plain", "keep")]
        precision = "float32"
        if kept:
            steps.append(self._try_int16(kept, wanted))
            precision = "int16" if steps[-1].taken else "float32"
        layers = self.layerwise.layers
        float_operators = self.layerwise.write(out, self.io, **{precision: [layers[index] for index in kept]})
        recipe = MixedPrecisionRecipe(precision, tuple(layers[index].name for index in kept), len(layers), tuple(steps))
        notes = _describe_search(recipe, self.every.samples)
        if wanted is Standing.UNDECIDED:
            notes.append(f"{self.every.samples:,} samples are too few for a PASS: the verdict stays open")
        io = "float32" if self.io == "float32" else self.variant.io
        return SearchReport(recipe, tuple(notes), io, float_operators)

    @property
    def most(self) -> int:
        """How many layers may be kept in higher precision."""
        return int(len(self.layerwise.layers) * MOST)

    def passes(self, kept: HighPrecisionLayers, confirm: bool, wanted: Standing, precision: str = "float32") -> bool:
        """Whether a file is worth as much on all samples, or (not `confirm`) may be, by a look at a few."""
        return self._judged(kept, precision, confirm).standing >= wanted

    def _judged(self, kept: HighPrecisionLayers, precision: str, confirm: bool) -> JudgedTrial:
        key = (self.io, precision, kept, confirm)
        if key not in self.known:
            self.known[key] = self._judge(kept, self.every if confirm else self.few, precision)
        return self.known[key]

    def _judge(self, kept: HighPrecisionLayers, judge: candidate.CandidateJudge, precision: str) -> JudgedTrial:
        try:
            details = judge.judge(self._trial_file(precision, kept))
        except EdgeshipError as error:  # a file that no runtime can load, or that crashes one
            return JudgedTrial(Standing.FAILS, str(error))
        # What was trained further is another model than the server's: the floors of plain quantization do not hold for it.
        before = (types.Step("optimize", ""),) if self.variant.recipes else ()
        artifact = Artifact(Path("trial"), "tflite", self.variant.name, (), (), before)
        checks = candidate.gate(artifact, "auto", details, self.budget)
        bad = [check for check in checks if check.verdict is not Verdict.PASS]
        # Few samples leave much undecided: only the figure itself must be within its limit.
        failed = [c for c in bad if c.verdict is Verdict.FAIL or not is_within_limit(c)]
        narrow = candidate.find_narrow_passes(details, checks, self.budget.for_artifact(artifact.id))
        reason = "; ".join([*(f"{check.check}: {check.reason}" for check in bad), *narrow])
        standing = Standing.HAS_ROOM
        for found, at_most in ((narrow, Standing.PASSES), (bad, Standing.UNDECIDED), (failed, Standing.FAILS)):
            standing = min(standing, at_most) if found else standing
        return JudgedTrial(standing, reason)

    def _trial_file(self, precision: str, kept: HighPrecisionLayers) -> Path:
        path = self.scratch / f"{self.io}-{precision}-{digest.of_json(list(kept))[:16]}.tflite"
        if not path.exists():
            self.layerwise.write(path, self.io, **{precision: [self.layerwise.layers[index] for index in kept]})
        return path

    def _price_step(self, step: SearchStep, precision: str) -> MixedPrecisionStep:
        """A step with its price: bytes on disk, and latency against the plain int8 file run in turn.

        There is none of a file that no runtime can load, as plain int8 may be.
        """
        layer = None if step.layer is None else self.layerwise.layers[step.layer].name
        judged = self.known.get((self.io, precision, step.kept, True))
        reason = judged.reason if judged else "a look at a few samples was enough to say no"
        done = f"{step.done}, float inputs and outputs" if step.layer is None and self.io == "float32" else step.done
        priced = MixedPrecisionStep(
            done, layer, len(step.kept), step.passed, "" if step.passed else reason, latency_reason="it does not run"
        )
        with contextlib.suppress(EdgeshipError):
            path = self._trial_file(precision, step.kept)
            priced = replace(priced, bytes=path.stat().st_size, latency_reason="plain int8 does not run")
            plain = self._trial_file("float32", ())
            timed = candidate.latency_ratio(path, plain) if step.kept else Ratio(1.0, None, None, 0, 0)
            interval = None if timed.low is None or timed.high is None else (timed.low, timed.high)
            priced = replace(priced, latency_ratio=timed.value, latency_reason=timed.reason, latency_interval=interval)
        return priced

    def _try_int16(self, kept: HighPrecisionLayers, wanted: Standing) -> MixedPrecisionStep:
        """The same layers with int16 activations instead: smaller, and taken where that is not slower."""
        step = SearchStep("int16 instead", None, kept, self.passes(kept, True, wanted, "int16"))
        if not step.passed:
            try:
                self._trial_file("int16", kept)
            except EdgeshipError as error:
                return MixedPrecisionStep(step.done, None, len(kept), False, brief_message(error, 200), taken=False)
        priced = self._price_step(step, "int16")
        int16, float32 = (self._trial_file(precision, kept) for precision in ("int16", "float32"))
        against = candidate.latency_ratio(int16, float32) if step.passed else None
        smaller = int16.stat().st_size < float32.stat().st_size
        taken = bool(smaller and against and against.high is not None and against.high <= SLOWER)
        return replace(priced, taken=taken)

    def _nothing_helps(self, reason: str, steps: Sequence[SearchStep]) -> str:
        judged = self.known.get((self.io, "float32", steps[-1].kept, True))
        why = judged.reason if judged else ""
        edges = ", with float inputs and outputs too" if self.io != self.variant.io else ""
        ends = steps[-1].done == "all" and self.variant.io == "int8" and "would decide" not in why
        hint = '; its inputs and outputs are still int8: try io = "float32"' if ends else ""
        return f"tflite/{self.variant.name}: {reason}{edges}{f' ({why})' if why else ''}{hint}"


def _sort_key(figures: CandidateFigures) -> float:
    """What the model's output is worth with only this layer quantized: the lowest first.

    Nothing is worth less than what does not run; what the quantizer leaves alone costs nothing.
    """
    if figures.sqnr_db is None:
        return float("inf") if figures.runs else float("-inf")
    return figures.sqnr_db


def _describe_search(recipe: MixedPrecisionRecipe, samples: int) -> list[str]:
    """The way to the result in words, a line each."""
    if not recipe.layers:
        edges = " with float inputs and outputs" if any("float inputs" in step.done for step in recipe.steps) else ""
        return [f"int8{edges} keeps to the budget on {samples:,} samples: no layer needs higher precision"]
    lines = []
    for step in recipe.steps:
        size = table_rows.size_text(step.bytes) if step.bytes is not None else "-"
        latency = table_rows.latency_of_step(step, "x of int8's")
        verdict = "passes" if step.passed else "does not pass"
        lines.append(f"{step.action}: {step.kept} of {recipe.of} layers higher, {verdict}, {size}, latency {latency}")
    kind = {"float32": "float32", "int16": "int16 activations"}[recipe.precision]
    return [*lines, f"in {kind}: {'; '.join(recipe.layers)}"]
