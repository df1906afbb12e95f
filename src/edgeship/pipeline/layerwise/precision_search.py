"""The search for the layers of one model file that the gate asks for in higher precision."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path

from edgeship.benchmarks.measure.latency import Ratio
from edgeship.benchmarks.report import table_rows
from edgeship.bundle.figures.comparisons import CandidateFigures
from edgeship.bundle.mixed_precision import MixedPrecisionRecipe, MixedPrecisionStep
from edgeship.errors import CheckError, EdgeshipError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.optimize.quantize.mixed_precision_search import (
    HighPrecisionLayers,
    SearchResult,
    SearchStep,
    most_layers,
    search,
)
from edgeship.pipeline.layerwise import candidate, layer_sensitivity
from edgeship.pipeline.layerwise.trials import JudgedTrial, Standing, Trial, Trials, keras_layers

# int16 activations are taken instead of float where they are at most this much slower here: LiteRT's kernels for them are
# plain ones on a desktop processor, and fast ones on a microcontroller.
SLOWER = 1.05
# Where no choice of layers is decided: a set with fewer layers is taken if it needs at most this many times the samples.
MORE_SAMPLES = 2.0
UNSEEN = JudgedTrial(Standing.FAILS, "a look at a few samples was enough to say no")


@dataclass(frozen=True)
class SearchReport:
    """What a search ended with, the way to it in words, and the element type of the file's inputs and outputs.

    `float_operators` stay float in any case; `noise`: the SQNR in dB of each output.
    """

    recipe: MixedPrecisionRecipe
    notes: tuple[str, ...]
    io: str
    float_operators: tuple[str, ...] = ()
    noise: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Choice:
    """The layers that a search settled on, for which inputs and outputs, by how much evidence, and the way to them."""

    io: str
    kept: HighPrecisionLayers
    wanted: Standing
    steps: Sequence[SearchStep]


class NothingHelpsError(CheckError):
    """No choice of layers in higher precision lets the gate pass."""


class MixedPrecisionSearch:
    """One search over trial files."""

    def __init__(self, trials: Trials) -> None:
        self.trials, self.layers = trials, trials.layerwise.layers
        self.is_tflite = trials.layerwise.format == "tflite"  # integer inputs and outputs, and int16 activations
        asked = trials.variant.io if self.is_tflite else "float32"
        self.edges = ("auto", "float32") if asked == "auto" else (asked,)

    def perform(self, out: Path) -> SearchReport:
        """Search, write the file to `out`, and tell what was done.

        It looks for a file that passes with room to spare, then for one that just passes, then for the same with float inputs
        and outputs (which an app notices) where the variant left them open, and at last for one that so few samples do not
        decide. Raises NothingHelpsError where there is none.
        """
        for io in self.edges:
            for wanted in (Standing.HAS_ROOM, Standing.PASSES):
                found = self._search(io, wanted)
                if found.kept is not None:
                    return self._finish(_Choice(io, found.kept, wanted, found.steps), out)
        if choice := self._choose_undecided():
            return self._finish(choice, out)
        raise self._nothing_helps(self.edges[-1], found)

    def _search(self, io: str, wanted: Standing) -> SearchResult:
        layers = self._int8_layers(io)
        everything = tuple(layers)

        def confirm(kept: HighPrecisionLayers) -> bool:
            trial = self.trials.judge(Trial(io, kept))
            if wanted is not Standing.UNDECIDED or kept == everything:
                return trial.standing >= wanted
            best = self.trials.judge(Trial(io, everything))
            return trial.standing >= wanted and trial.samples_needed <= MORE_SAMPLES * best.samples_needed

        return search(
            layers,
            lambda: sorted(layers, key=self._ranks.__getitem__),
            [float(layer.weight_bytes) for layer in self.layers],
            lambda kept: self.trials.judge(Trial(io, kept), all_samples=False).standing >= Standing.UNDECIDED,
            confirm,
            self._guesses(layers),
        )

    def _int8_layers(self, io: str) -> list[int]:
        """The layers that plain int8 does not leave in float anyway; all where there is no such file."""
        everything = range(len(self.layers))
        try:
            islands = set(self.trials.report(Trial(io, ())).float_islands)
        except EdgeshipError:
            return list(everything)
        return [index for index in everything if not self.layers[index].is_float(islands)]

    def _guesses(self, layers: Sequence[int]) -> list[HighPrecisionLayers]:
        """Per other format the layers that it needed. Where no layer is known scopes stand for them, which formats put deeper."""

        def is_same(name: str, others: Sequence[str]) -> bool:
            return any(f"/{own}".endswith(f"/{other}") for own in keras_layers([name]) for other in others)

        others = [other.layers for other in self.trials.others]
        found = (tuple(index for index in layers if is_same(self.layers[index].name, names)) for names in others)
        return list(dict.fromkeys(found))

    @cached_property
    def _ranks(self) -> list[float]:
        """What the model's output is worth with only that layer quantized, in dB of SQNR."""
        trials, kind = self.trials, layer_sensitivity.ONLY_LAYER_INT8
        figures = layer_sensitivity.cached_sensitivity(trials.layerwise, trials.few, kind, trials.variant.io)
        return list(map(_worth, figures))

    def _choose_undecided(self) -> _Choice | None:
        """Of what fails nothing the first type of inputs and outputs that needs about as few samples as any; None without one."""
        found = [(choice, self.trials.judge(Trial(choice.io, choice.kept))) for choice in self._find_undecided()]
        least = min((trial.samples_needed for _, trial in found), default=0.0)
        return next((choice for choice, trial in found if trial.samples_needed <= MORE_SAMPLES * least), None)

    def _find_undecided(self) -> Iterator[_Choice]:
        """Per type of inputs and outputs what fails nothing and needs about as few samples for a PASS as any."""
        for io in self.edges:
            found = self._search(io, Standing.UNDECIDED)
            kept = found.kept if found.kept is not None else self._best_undecided(io)
            if kept is not None:
                yield _Choice(io, kept, Standing.UNDECIDED, found.steps)

    def _best_undecided(self, io: str) -> HighPrecisionLayers | None:
        """Of the sets that were judged and fail nothing, the smallest that needs about as few samples as any, if any."""
        most = most_layers(len(self._int8_layers(io)))
        undecided = {
            trial.kept: judged.samples_needed
            for (trial, all_samples), judged in self.trials.known.items()
            if all_samples and trial == Trial(io, trial.kept) and len(trial.kept) <= most and judged.standing
        }
        least = min(undecided.values(), default=0.0)
        near = [kept for kept, needed in undecided.items() if needed <= MORE_SAMPLES * least]
        return min(near, key=lambda kept: (len(kept), undecided[kept]), default=None)

    def _finish(self, choice: _Choice, out: Path) -> SearchReport:
        """Write the file, and its report."""
        io, kept, tried = choice.io, choice.kept, choice.steps
        steps = [self._price_step(io, step) for step in tried if step.passed or step.done in ("plain", "keep")]
        precision = "float32"
        if kept and self.is_tflite:
            steps.append(self._try_int16(choice))
            precision = "int16" if steps[-1].taken else "float32"
        trial, samples = Trial(io, kept, precision), self.trials.every.samples
        shutil.copyfile(self.trials.write(trial), out)
        recipe = MixedPrecisionRecipe(precision, self.trials.names(kept), len(self._int8_layers(io)), tuple(steps))
        notes = _describe_search(recipe, samples, self.trials.layerwise.format)
        if choice.wanted is Standing.UNDECIDED:
            notes.append(f"{samples:,} samples are too few for a PASS: the verdict stays open")
        floats, noise = self.trials.report(trial).float_operators, self.trials.judge(trial).noise
        return SearchReport(recipe, tuple(notes), io if io == "float32" else self.trials.variant.io, floats, noise)

    def _price_step(self, io: str, step: SearchStep, precision: str = "float32") -> MixedPrecisionStep:
        """A step with its price: bytes on disk and, where it may be shipped, latency against the plain int8 file run in turn.

        There is none of a file that no runtime can load, as plain int8 may be.
        """
        layer = None if step.layer is None else self.layers[step.layer].name
        trial, plain = Trial(io, step.kept, precision), Trial(io, ())
        judged = self.trials.known.get((trial, True), UNSEEN)
        done = step.done
        if done == "guess":
            done = f"as {', '.join(other.artifact for other in self.trials.others)}"
        if step.layer is None and self.is_tflite and io == "float32":
            done = f"{done}, float inputs and outputs"
        passed, undecided = judged.standing >= Standing.PASSES, judged.standing is Standing.UNDECIDED
        why = "it does not run"
        priced = MixedPrecisionStep(
            done, layer, len(step.kept), passed, judged.reason, latency_reason=why, undecided=undecided
        )
        with contextlib.suppress(EdgeshipError):
            path = self.trials.write(trial)
            priced = replace(priced, bytes=path.stat().st_size, latency_reason="plain int8 does not run")
            timed = self._time_step(step, path, self.trials.write(plain))
            interval = None if timed.low is None or timed.high is None else (timed.low, timed.high)
            priced = replace(priced, latency_ratio=timed.value, latency_reason=timed.reason, latency_interval=interval)
        return priced

    def _time_step(self, step: SearchStep, path: Path, plain: Path) -> Ratio:
        if not step.kept:
            return Ratio(1.0, None, None, 0, 0)
        if not step.passed or step.done == "all":  # what is not going to be shipped is not worth seconds
            return Ratio(None, None, None, 0, 0, "not timed")
        return candidate.latency_ratio(path, plain, file_format=self.trials.layerwise.format)

    def _try_int16(self, choice: _Choice) -> MixedPrecisionStep:
        """The same layers with int16 activations instead: smaller, and taken where that is not slower."""
        trial = Trial(choice.io, choice.kept, "int16")
        step = SearchStep("int16 instead", None, choice.kept, self.trials.judge(trial).standing >= choice.wanted)
        if not step.passed:
            try:
                self.trials.write(trial)
            except EdgeshipError as error:
                return MixedPrecisionStep(
                    step.done, None, len(step.kept), False, brief_message(error, 200), taken=False
                )
        priced = self._price_step(choice.io, step, "int16")
        int16, float32 = self.trials.write(trial), self.trials.write(Trial(choice.io, choice.kept))
        against = candidate.latency_ratio(int16, float32) if step.passed else None
        smaller = int16.stat().st_size < float32.stat().st_size
        taken = bool(smaller and against and against.high is not None and against.high <= SLOWER)
        return replace(priced, taken=taken)

    def _nothing_helps(self, io: str, found: SearchResult) -> NothingHelpsError:
        """The error, about the layers that were kept last."""
        last, variant = found.steps[-1], self.trials.variant
        keys = [(Trial(io, last.kept), all_samples) for all_samples in (True, False)]
        why = next((self.trials.known[key].reason for key in keys if key in self.trials.known), "")
        edges = ", with float inputs and outputs too" if len(self.edges) > 1 else ""
        artifact = f"{self.trials.layerwise.format}/{variant.name}"
        error = NothingHelpsError(f"{artifact}: {found.reason}{edges}{f' ({brief_message(why)})' if why else ''}")
        return error.about(self.trials.names(last.kept) if last.done == "keep" else ())


def _worth(figures: CandidateFigures) -> float:
    """The dB of a file with one layer quantized. None is worth less than one that does not run, or gives no numbers.

    What the quantizer leaves alone costs nothing.
    """
    left_alone = figures.runs and figures.reason
    return figures.sqnr_db if figures.sqnr_db is not None else float("inf" if left_alone else "-inf")


def _describe_search(recipe: MixedPrecisionRecipe, samples: int, file_format: str) -> list[str]:
    """The way to the result in words, a line each."""
    if not recipe.layers:
        edges = " with float inputs and outputs" if any("float inputs" in step.done for step in recipe.steps) else ""
        return [
            f"{file_format}: int8{edges} keeps to the budget on {samples:,} samples: no layer needs higher precision"
        ]
    lines = []
    for step in recipe.steps:
        size = table_rows.size_text(step.bytes) if step.bytes is not None else "-"
        latency = table_rows.latency_of_step(step, "x of int8's")
        lines.append(
            f"{step.action}: {step.kept} of {recipe.of} layers higher, {step.verdict}, {size}, latency {latency}"
        )
    kind = {"float32": "float32", "int16": "int16 activations"}[recipe.precision]
    return [f"{file_format}: {line}" for line in (*lines, f"in {kind}: {'; '.join(recipe.layers)}")]
