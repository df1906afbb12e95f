"""Every mutant: which change of which model in which artifact. `run` judges them one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab import changes
from lab.bench import Good, Lab, Outcome
from lab.constants import Weights

# What `edgeship ship` makes where nothing else is asked for; the other variants have the most telling mutants only.
USUAL = ("float32", "int8", "weight_only_w8")
NO_KERAS = ("tflite/weight_only_w8",)
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


def run(
    lab: Lab, trained: Path, name: str, wanted: Callable[[str, str], bool] = lambda change, artifact: True
) -> Iterator[Row]:
    """Judge the untouched artifacts of a model, then its mutants that are `wanted` by change and artifact.

    `trained` holds the training folders, `<name>` and for stale models `<name>-other-seed`, `<name>-earlier-epoch`.
    An artifact that is not good to begin with has no mutants: they would prove nothing.
    """
    good = lab.good(name, trained / name)
    sound = []
    for artifact in good.made:
        outcome = lab.judged(good, artifact)
        yield Row(name, "", artifact, outcome)
        if outcome.verdict != "FAIL":
            sound.append(artifact)
    for change, artifact, judge in _mutants(lab, good, trained, sound, wanted):
        yield Row(name, change, artifact, judge())


Judge = Callable[[], Outcome]
Wanted = Callable[[str, str], bool]


def _mutants(
    lab: Lab, good: Good, trained: Path, sound: Sequence[str], wanted: Wanted
) -> Iterator[tuple[str, str, Judge]]:
    for artifact in sound:
        for change, fed in INPUTS[good.name].items():
            if wanted(change, artifact):
                yield change, artifact, partial(lab.fed, good, artifact, change, fed)
        for change, how in file_changes(good, artifact):
            if wanted(change, artifact):
                yield change, artifact, partial(lab.edited, good, artifact, change, how)
    for change in MODELS[good.name]:
        chosen = [artifact for artifact in sound if wanted(change, artifact)]
        yield from _placed(lab, good, change, chosen, lambda variants, name=change: lab.broken(good, name, variants))
    for folder, change in STALE.items():
        model = trained / f"{good.name}-{folder}" / "server.keras"
        chosen = [artifact for artifact in sound if wanted(change, artifact) and model.exists()]
        yield from _placed(lab, good, change, chosen, partial(lab.replaced, good, model))
    for change, how in changes.CALIBRATION.items():
        chosen = [artifact for artifact in sound if artifact.endswith("/int8") and wanted(change, artifact)]
        yield from _placed(
            lab, good, change, chosen, lambda _, name=change, fed=how: lab.miscalibrated(good, name, fed)
        )


def _placed(
    lab: Lab, good: Good, change: str, chosen: Sequence[str], make: Callable[..., object]
) -> Iterator[tuple[str, str, Judge]]:
    """Artifacts made anew in the places of the good ones; a converter that refuses to make them has caught them."""
    if not chosen:
        return
    made = make(tuple({artifact.split("/")[1] for artifact in chosen}))
    for artifact in chosen:
        if isinstance(made, str):
            yield change, artifact, partial(Outcome, "REFUSED", ("convert",), made)
        else:
            yield change, artifact, partial(lab.judged, good, artifact, made[artifact])


def file_changes(good: Good, artifact: str) -> Iterator[tuple[str, Callable[[Weights], None]]]:
    """The changes of an artifact's own file."""
    kind, variant = artifact.split("/")
    for layer in range(LAYERS[good.name]):
        for change, kernel in changes.KERNEL.items():
            if change != "one NaN in" or variant in ("float32", "float16"):
                yield f"{change}: layer {layer + 1}", partial(_layer, layer, kernel)
    yield from changes.WHOLE.items()
    if artifact == "tflite/int8":
        yield from changes.ENDS.items()


def _layer(number: int, change: Callable[..., None], weights: Weights) -> None:
    change(weights.kernels[number])
