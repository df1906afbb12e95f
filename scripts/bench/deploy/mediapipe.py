"""`make bench-mediapipe`: MediaPipe Tasks beside LiteRT on raw pictures, and what its own resizing costs.

Writes docs/results/mediapipe.md. The models are shipped through the command line. Pictures larger than a model are handed to
MediaPipe as they are, or shrunk by the contract's own resampler first.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from edgeship.benchmarks.compare.accuracy import compare
from edgeship.bundle.bundle import open_bundle
from edgeship.data import Array
from edgeship.deploy.contract.arithmetic.resample import resize_picture
from edgeship.deploy.contract.contract import read_contract
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.deploy.contract.steps import Resize
from edgeship.runtimes.registry import find
from edgeship.runtimes.session import open_session
from scripts import RESULTS, ROOT
from scripts.bench.parts import EDGESHIP

EXACT, LARGE, COST = 500, 100, 2000  # pictures: of the model's size, larger, and larger ones for the accuracy
SIDE = 224
BAR = 1e-6
LITERT, PYTHON, WEB = "litert", "mediapipe", "mediapipe-web"
OTHERS = ("litert-web", PYTHON, WEB)
FLOAT, INT8, REFERENCE = "tflite/float-rgb", "tflite/int8-rgb", "reference"
CONFIG = """\
[data]
calibration = "calibration.npz"
evaluation = "evaluation.npz"
evaluation_samples = 500
labels = "labels.txt"
[variants.float-rgb]
mobile = "rgb"
[variants.int8-rgb]
quantize = "static_w8a8"
mobile = "rgb"
[benchmark]
runtimes = ["litert"]
"""
WHOLE = """\
[data]
calibration = "calibration.npz"
[variants.float]
mobile = true
[input.image]
kind = "image"
multiply = 1.0
add = 0.0
"""
HEAD = f"| model | runtime | largest difference to LiteRT | at most {BAR:g} | same answers |\n|---|---|---|---|---|"
HEAD_OF_COST = """\
| model | runtime | pictures | accuracy, shrunk by the contract | shrunk by MediaPipe | lost, 95 % interval | other answers |
|---|---|---|---|---|---|---|"""
WHY = f"""\
The pixels arrive as they are: a net of whole numbers, whose sums are exact in float32 in any order, gives the same to the last
bit. So what lies above {BAR:g} in float32 is the order and the rounding of sums in a runtime's kernels, as LiteRT's own reference
kernels show; int8 inside sums whole numbers, and is the same in all optimized kernels."""


def call(*arguments: str) -> None:
    """Run `edgeship`; exit code 1 is a gate's verdict."""
    done = subprocess.run([*EDGESHIP, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"edgeship {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")


def ship_default(folder: Path) -> Path:
    """The bundle of the default task, as what MediaPipe takes: in float32 and with int8 inside."""
    if not (folder / "server.keras").exists():
        call("train", "fashion-mnist", "--out", str(folder))
    (folder / "edgeship.toml").write_text(CONFIG, encoding="utf-8")
    call("ship", str(folder / "server.keras"), "--out", str(folder / "bundle"))
    return folder / "bundle"


def convert_whole_numbers(folder: Path) -> Path:
    """The bundle of a net whose weights are whole numbers and whose sums stay below 2^24: exact in float32 in any order."""
    import keras

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    layers = [keras.layers.Conv2D(8, 3, strides=2, activation="relu") for _ in range(2)]
    model = keras.Sequential(
        [keras.Input((28, 28, 3), name="image"), *layers, keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.set_weights([rng.integers(-1, 2, item.shape).astype(np.float32) for item in model.get_weights()])
    model.save(folder / "whole.keras")
    np.savez(folder / "calibration.npz", image=rng.integers(0, 256, (64, 28, 28, 3)).astype(np.float32))
    (folder / "edgeship.toml").write_text(WHOLE, encoding="utf-8")
    options = ("--config", str(folder / "edgeship.toml"), "--to", "tflite")
    call("convert", str(folder / "whole.keras"), "--out", str(folder / "bundle"), *options)
    return folder / "bundle"


def answer(bundle: Path, artifact: str, runtime: str, pictures: Array) -> Array:
    """The scores (n, classes) of pictures (n, h, w, c) of any size; only MediaPipe takes others than the model's."""
    entry = next(item for item in open_bundle(bundle).artifacts if item.id == artifact)
    options = {"kernels": REFERENCE} if runtime == REFERENCE else {}
    name = LITERT if runtime == REFERENCE else runtime
    with open_session(name, entry.path, bridge=entry.bridge, options=options) as session:
        (spec,) = session.inputs
        session.inputs = (replace(spec, shape=(1, *pictures.shape[1:])),)
        (scores,) = session.run({spec.name: pictures.astype(np.float32)}).values()
    return scores


def describe_difference(own: Array, other: Array) -> str:
    """The largest difference, whether it is within the bar, and how many answers are the same."""
    same, largest = int((own.argmax(1) == other.argmax(1)).sum()), float(np.abs(own - other).max())
    return f"{largest:.1e} | {'yes' if largest <= BAR else '**no**'} | {same:,} of {len(own):,}"


def enlarge(pictures: Array) -> Array:
    """Pictures of SIDE x SIDE, smoothly, in bytes."""
    step = Resize(SIDE, SIDE, "stretch", "tf-bilinear", 0)
    return np.stack([resize_picture(picture, step, 0) for picture in pictures])


def shrink(item: ContractInput, pictures: Array) -> Array:
    """Pictures as the contract prescribes them, (n, h, w, c)."""
    return np.concatenate([preprocess_input(item, picture) for picture in pictures])


def exact_lines(bundle: Path, whole: Path, pictures: Array) -> Iterable[str]:
    """Pictures of the model's size through each runtime, against LiteRT."""
    yield f"## {EXACT} pictures of the model's size\n"
    yield HEAD
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 256, (EXACT, 28, 28, 3), np.uint8)
    sets = ((bundle, INT8, pictures), (bundle, FLOAT, pictures), (whole, "tflite/float", colours))
    names = {
        INT8: "default task, int8 inside",
        FLOAT: "default task, float32",
        "tflite/float": "whole numbers, float32",
    }
    for place, artifact, images in sets:
        own = answer(place, artifact, LITERT, images)
        for runtime in (*OTHERS, REFERENCE):
            name = "LiteRT's reference kernels" if runtime == REFERENCE else f"`{runtime}`"
            yield f"| {names[artifact]} | {name} | {describe_difference(own, answer(place, artifact, runtime, images))} |"
    yield ""


def large_lines(bundle: Path, pictures: Array, labels: Array) -> Iterable[str]:
    """Larger pictures, shrunk by the contract's resampler first, and by MediaPipe itself."""
    contract = read_contract(bundle)
    if contract is None:
        sys.exit(f"{bundle}: has no contract")
    large = enlarge(pictures)
    small = shrink(contract.inputs[0], large)
    yield f"\n## Larger pictures: enlarged to {SIDE} x {SIDE}\n"
    yield f"The first {LARGE} of them, shrunk by the contract's resampler (`area`) before MediaPipe gets them:\n"
    yield HEAD
    for artifact in (INT8, FLOAT):
        own = answer(bundle, artifact, LITERT, small[:LARGE])
        for runtime in (PYTHON, WEB):
            told = describe_difference(own, answer(bundle, artifact, runtime, small[:LARGE]))
            yield f"| {artifact} | `{runtime}` | {told} |"
    yield "\nThe same pictures handed over as they are, so that MediaPipe shrinks them itself:\n"
    yield HEAD_OF_COST
    for artifact in (INT8, FLOAT):
        own = answer(bundle, artifact, LITERT, small)
        for runtime, count in ((PYTHON, COST), (WEB, LARGE)):
            scores = answer(bundle, artifact, runtime, large[:count])
            yield f"| {artifact} | `{runtime}` | {count:,} | {cost_cells(labels[:count], own[:count], scores)} |"


def cost_cells(labels: Array, own: Array, scores: Array) -> str:
    """What other scores lose of the accuracy that our own have."""
    found = compare(labels, own, scores)
    values = [found.server, found.value, found.drop, found.low, found.high]
    if any(value is None for value in values):
        sys.exit(f"no figures: {found.reason}")
    server, value, drop, low, high = (100 * float(value or 0) for value in values)
    flips = int((own.argmax(1) != scores.argmax(1)).sum())
    return f"{server:.1f} % | {value:.1f} % | {drop:+.1f} [{low:+.1f}, {high:+.1f}] points | {flips:,}"


def write_page(out: Path, work: Path) -> None:
    """Take all figures and write the page."""
    bundle, whole = ship_default(work / "fashion-mnist"), convert_whole_numbers(work / "whole")
    with np.load(work / "fashion-mnist" / "evaluation.npz") as data:
        pictures, labels = data["image"][:COST], data["y"][:COST]
    versions = "; ".join(f"`{name}` {find(name).version()}" for name in (LITERT, *OTHERS))
    lines = [
        "# MediaPipe Tasks beside LiteRT\n",
        f"Written by `make bench-mediapipe` on {date.today().isoformat()}: {versions}.",
        'Each runtime gets raw pictures of the default task\'s test split and the same `.tflite` (`mobile = "rgb"`).\n',
        *exact_lines(bundle, whole, pictures[:EXACT]),
        WHY,
        *large_lines(bundle, pictures, labels),
        "\nSo hand MediaPipe a picture of exactly the model's size, shrunk by the code of `edgeship deploy codegen`.",
    ]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """`make bench-mediapipe`."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "mediapipe", help="folder for models and bundles")
    parser.add_argument("--out", type=Path, default=RESULTS / "mediapipe.md", help="the page")
    options = parser.parse_args()
    if missing := [reason for name in (LITERT, *OTHERS) if (reason := find(name).unavailable_reason())]:
        sys.exit("; ".join(missing))
    write_page(options.out, options.work)


if __name__ == "__main__":
    main()
