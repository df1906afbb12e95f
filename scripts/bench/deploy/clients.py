"""`make bench-clients`: right clients on 2,000 images, and preprocessing beside OpenCV; writes docs/results/clients.md.

A self-test must not fail by chance. 20 draws of 16 goldens each are taken from 2,000 images of the evaluation data; every lane
that is here replays them all, and a draw's self-test fails where one of its 16 does. The tolerance is the bundle's own, measured
when it was made on other samples. Labels are those of the float32 model, and must be given where a right device gives them.

Usage: python -m scripts.bench.deploy.clients [FOLDER] (of what `make demo` trains: server.keras, calibration.npz, evaluation.npz)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgeship.bundle import goldens
from edgeship.bundle.bundle import Bundle, open_bundle
from edgeship.data import Array, RepresentativeDataset
from edgeship.deploy.codegen.client import Case, Client, RawForm, describe_client
from edgeship.deploy.codegen.generate import FORMATS, TEMPLATES, write_client
from edgeship.deploy.contract import raw_goldens
from edgeship.deploy.contract.contract import read_contract
from edgeship.runtimes.clients.lanes import LANES, Lane
from edgeship.runtimes.session import open_session
from scripts.bench.deploy.opencv import compare_with_opencv

IMAGES, DRAWS, GOLDENS, BATCH = 2000, 20, 16, 100
ARTIFACTS = ("tflite/float32", "tflite/int8", "tflite/mobile", "tfjs/float32")
RUNTIMES = {"tflite": "litert", "tfjs": "tfjs-node"}
PAGE = Path("docs/results/clients.md")


@dataclass(frozen=True)
class Draws:
    """The images of all draws (n, ...): their places in each draw, and every artifact's answers to them (n, classes)."""

    images: Array
    places: Sequence[Array]
    answers: Mapping[str, Array]


def main(arguments: Sequence[str]) -> None:
    """Make the bundle, run every lane, write the page."""
    home = Path(arguments[0] if arguments else "runs/fashion-mnist")
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(home, Path(folder) / "bundle")
        draws = draw_goldens(bundle, home / "evaluation.npz", Path(folder))
        rows = [row for lane in LANES.values() for row in run_lane(lane, bundle, draws, Path(folder))]
        speed = compare_with_opencv(TEMPLATES / "c", Path(folder))
    PAGE.write_text(render_page(rows, speed), encoding="utf-8")
    print(f"wrote {PAGE}")


def make_bundle(home: Path, out: Path) -> Bundle:
    """A bundle of the server model with every form that clients take."""
    command = [sys.executable, "-m", "edgeship.cli", "convert", str(home / "server.keras"), "--out", str(out)]
    options = ["--to", "tflite,tfjs", "--variant", "float32,int8,mobile", "--data", str(home / "calibration.npz")]
    subprocess.run([*command, *options], check=True)
    return open_bundle(out)


def draw_goldens(bundle: Bundle, data: Path, folder: Path) -> Draws:
    """Draw with a fixed seed, and run the artifacts as the bundle's own goldens were run."""
    (spec,) = bundle.manifest.server.inputs
    with np.load(data) as arrays:
        images = next(arrays[name] for name in arrays.files if arrays[name].ndim > 1)[:IMAGES]
    random = np.random.default_rng(0)
    picked = [random.choice(len(images), GOLDENS, replace=False) for _ in range(DRAWS)]
    union = np.unique(np.concatenate(picked))
    np.savez(folder / "drawn.npz", **{spec.name: images[union]})
    answers = {}
    for artifact in bundle.artifacts:
        if artifact.id in ARTIFACTS:
            with open_session(RUNTIMES[artifact.id.partition("/")[0]], artifact.path) as session:
                feeds = RepresentativeDataset(folder / "drawn.npz").feeds((spec,), BATCH)
                (answers[artifact.id],) = session.evaluate(feeds, BATCH).values()
    return Draws(images[union], [np.searchsorted(union, item) for item in picked], answers)


def run_lane(lane: Lane, bundle: Bundle, draws: Draws, folder: Path) -> Iterator[Sequence[str]]:
    """A line of the page for each artifact that the lane takes."""
    for artifact in ARTIFACTS:
        if artifact.partition("/")[0] != lane.format:
            continue
        client = describe_client(bundle, artifact, FORMATS.get(lane.language, (lane.format,)))
        if reason := lane.find_misfit(client) or lane.unavailable_reason():
            print(f"{lane.name}, {artifact}: left out: {reason}")
            continue
        with tempfile.TemporaryDirectory(dir=folder) as work:
            write_drawn_client(client, lane.language, bundle, draws, Path(work) / "client")
            (Path(work) / "work").mkdir()
            result = lane.run_selftest(Path(work) / "client", Path(work) / "work")
        failed = {int(failure["case"]) for failure in result["failures"]}
        beyond = sum(bool(failed & set(places.tolist())) for places in draws.places)
        ((name, output),) = result["outputs"].items()
        line = [
            lane.name,
            artifact,
            str(result["engine"]),
            f"{beyond} of {DRAWS}",
            f"{len(failed)} of {len(draws.images)}",
        ]
        print(*line, name, output["maxAbsError"], flush=True)
        yield [*line, f"{output['maxAbsError']:.2g}", f"{output['tolerance']:.2g}"]


def write_drawn_client(client: Client, language: str, bundle: Bundle, draws: Draws, out: Path) -> None:
    """A generated client whose goldens are the drawn images."""
    contract = read_contract(bundle.root)
    (item,), (output,) = contract.inputs if contract else (), client.outputs
    drawn = raw_goldens.make_cases([item], {item.name: draws.images.astype(np.float32)})[: len(draws.images)]
    reference, own = draws.answers["tflite/float32"], draws.answers[client.artifact]
    clear = set(goldens.clear_answers({"": own}, {"": reference}, {"": output.tolerance}).get("", []))
    labels = [output.labels[best] for best in reference.argmax(1)] if output.labels else [""] * len(drawn)
    cases = []
    for at, (case, label) in enumerate(zip(drawn, labels, strict=True)):
        size = case.sizes[item.name]
        form = RawForm(size.height or 0, size.width or 0, size.channels or 0, size.orientation)
        cases.append(Case(str(at), (form,), label, at in clear))
    out.mkdir()
    write_client(replace(client, cases=tuple(cases), goldens={}), bundle.root, language, out)
    for at, case in enumerate(drawn):
        (out / "goldens" / f"{at}.{item.name}.raw").write_bytes(case.raw[item.name].to_bytes())
        (out / "goldens" / f"{at}.{item.name}.tensor").write_bytes(case.tensors[item.name].astype("<f4").tobytes())
        (out / "goldens" / f"{at}.{output.name}.{client.golden_suffix}").write_bytes(own[at].astype("<f4").tobytes())


def render_page(rows: Sequence[Sequence[str]], speed: str) -> str:
    """The page as Markdown."""
    head = ["lane", "artifact", "engine", "self-tests failed", "goldens failed", "largest difference", "tolerance"]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    text = (
        f"{DRAWS} draws of {GOLDENS} goldens each from {IMAGES:,} evaluation images of Fashion-MNIST, replayed by every lane of "
        "generated clients\nthat the machine has. Differences are from the answers of the artifact's usual runtime here, LiteRT "
        "with XNNPACK or TF.js under Node."
    )
    return (
        f"# Generated clients\n\n`make bench-clients` writes this page.\n\n{text}\n\n"
        + "\n".join(lines)
        + f"\n\n{speed}\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
