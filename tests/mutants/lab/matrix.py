"""Every mutant: which change of which model in which artifact. `run` judges them one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgeship.pipeline.conversion.source import ConvertedArtifact
from tests.mutants.lab import changes
from tests.mutants.lab.bench import VARIANTS, Good, Lab, Outcome
from tests.mutants.lab.constants import Weights

# What `edgeship ship` makes where nothing else is asked for. The other variants have the mutants that are hardest to see.
USUAL = ("tflite/float32", "tflite/int8", "onnx/float32", "onnx/int8", "tfjs/float32", "tfjs/weight_only_w8")
HARDEST = (
    "x and y of acceleration swapped",
    "mirrored",
    "two classes swapped",
    "one bit in a thousand flipped",
    "zeroed: layer 1",
    "batch norm: another epsilon",
    "mean and deviation of other data",
    "a head never trained",
)
FLOAT = ("float32", "float16")
LAYERS = {"motion": 4, "fashion-mnist": 4, "pair": 4}
INPUTS: Mapping[str, Mapping[str, changes.Input]] = {
    "motion": {**changes.ANY_INPUT, **changes.MOTION_INPUT},
    "fashion-mnist": {**changes.ANY_INPUT, **changes.IMAGE_INPUT},
    "pair": {**changes.ANY_INPUT, **changes.TABLE_INPUT},
}
CLASSIFIER = (
    "classes permuted",
    "labels off by one",
    "two classes swapped",
    "a class dropped",
    "batch norm: all statistics reset",
    "batch norm: one layer's statistics reset",
    "batch norm: gamma and beta reset",
    "batch norm: another epsilon",
    "softmax lost",
    "softmax twice",
    "normalization forgotten",
    "mean and deviation of other data",
)
MODELS = {
    "motion": CLASSIFIER,
    "fashion-mnist": CLASSIFIER,
    "pair": (
        "outputs swapped",
        "inputs swapped",
        "a decision inverted",
        "a head never trained",
        "normalization forgotten",
    ),
}
STALE = {"other-seed": "stale: trained with another seed", "earlier-epoch": "stale: an earlier epoch"}


@dataclass(frozen=True)
class Row:
    """One judged artifact: the model's name, the change ("" for the untouched one), the artifact, the outcome."""

    model: str
    change: str
    artifact: str
    outcome: Outcome


Judge = Callable[[], Outcome]
# The artifacts of these variants made anew, by id; or why a converter refused.
Maker = Callable[[tuple[str, ...]], dict[str, ConvertedArtifact] | str]
Wanted = Callable[[str, str], bool]


def matters(change: str, artifact: str) -> bool:
    """Whether a mutant belongs into the full table."""
    return artifact in USUAL or change in HARDEST or change in STALE.values()


def run(
    lab: Lab,
    trained: Path,
    name: str,
    wanted: Wanted = matters,
    variants: tuple[str, ...] = VARIANTS,
    every: bool = False,
) -> Iterator[Row]:
    """Judge the untouched artifacts of a model, then its mutants that are `wanted` by change and artifact.

    `trained` holds the training folders, `<name>` and for stale models `<name>-other-seed`, `<name>-earlier-epoch`.
    An artifact that is not good to begin with has no mutants, as they would prove nothing; with `every` it has, for those
    who look at what failed that had not failed before.
    """
    good = lab.good(name, trained / name, variants)
    sound = []
    for artifact in good.made:
        outcome = lab.judged(good, artifact)
        yield Row(name, "", artifact, outcome)
        if every or outcome.verdict != "FAIL":
            sound.append(artifact)
    for change, artifact, judge in _mutants(lab, good, trained, sound, wanted):
        yield Row(name, change, artifact, judge())


def _mutants(
    lab: Lab, good: Good, trained: Path, sound: Sequence[str], wanted: Wanted
) -> Iterator[tuple[str, str, Judge]]:
    for artifact in sound:
        for change, how in INPUTS[good.name].items():
            if wanted(change, artifact):
                yield change, artifact, partial(lab.fed, good, artifact, change, how)
        if artifact == "tflite/int8":
            yield from _misread(lab, good, artifact, wanted)
        yield from _edited(lab, good, artifact, wanted)
    for change in MODELS[good.name]:
        chosen = [artifact for artifact in sound if wanted(change, artifact)]
        yield from _placed(lab, good, change, chosen, partial(lab.broken, good, change))
    for folder, change in STALE.items():
        model = trained / f"{good.name}-{folder}" / "server.keras"
        chosen = [artifact for artifact in sound if wanted(change, artifact) and model.exists()]
        yield from _placed(lab, good, change, chosen, partial(lab.replaced, good, model))
    for change, how in changes.CALIBRATION.items():
        chosen = [artifact for artifact in sound if artifact.endswith("/int8") and wanted(change, artifact)]
        yield from _placed(lab, good, change, chosen, partial(lab.miscalibrated, good, change, how))


def _placed(lab: Lab, good: Good, change: str, chosen: Sequence[str], make: Maker) -> Iterator[tuple[str, str, Judge]]:
    """Artifacts made anew in the places of the good ones; a converter that refuses to make them has caught them."""
    if not chosen:
        return
    made = make(tuple({artifact.split("/")[1] for artifact in chosen}))
    for artifact in chosen:
        if isinstance(made, str):
            yield change, artifact, partial(Outcome, "REFUSED", "REFUSED", ("convert",), made)
        else:
            yield change, artifact, partial(lab.judged, good, artifact, made[artifact])


def _misread(lab: Lab, good: Good, artifact: str, wanted: Wanted) -> Iterator[tuple[str, str, Judge]]:
    """An app that quantizes the inputs, or reads the outputs, by the scale and zero point of another version."""
    specs = good.made[artifact].artifact
    for change, fed in changes.INT8_INPUT.items():
        if wanted(change, artifact):
            yield change, artifact, partial(lab.fed, good, artifact, change, fed(specs.inputs))
    for change, read in changes.INT8_OUTPUT.items():
        if wanted(change, artifact):
            yield change, artifact, partial(lab.misread, good, artifact, change, read(specs.outputs))


def _edited(lab: Lab, good: Good, artifact: str, wanted: Wanted) -> Iterator[tuple[str, str, Judge]]:
    """Changes of the artifact's own file; one that changes no number (a vector transposed) is no mutant."""
    for change, how in file_changes(good, artifact):
        if wanted(change, artifact) and (made := lab.edit(good.made[artifact], change, how)):
            yield change, artifact, partial(lab.judged, good, artifact, made)


def file_changes(good: Good, artifact: str) -> Iterator[tuple[str, Callable[[Weights], None]]]:
    """The changes of an artifact's own file."""
    variant = artifact.split("/")[1]
    for layer in range(LAYERS[good.name]):
        for change, kernel in changes.KERNEL.items():
            if change != "one NaN in" or variant in FLOAT:
                yield f"{change}: layer {layer + 1}", partial(_layer, layer, kernel)
        if variant not in FLOAT:
            yield f"at 4 bits: layer {layer + 1}", partial(_layer, layer, changes.four_bits)
    yield from changes.WHOLE.items()


def _layer(number: int, change: Callable[..., None], weights: Weights) -> None:
    change(weights.kernels[number])
