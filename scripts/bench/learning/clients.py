"""What a generated client in C learns from corrected answers, beside edgeship.client: writes docs/results/learning/clients.md.

The client is generated of the bundle, compiled on TensorFlow Lite's C library, and given pictures as tensors: half of the 10,000
test images of fashion-mnist to learn from, turned, and the other half to test on. Exit code 1 where a bar of
`scripts.bench.learning.head` is missed:

    edgeship train fashion-mnist --out fashion && edgeship convert fashion/server.keras --to tflite,onnx --head-step --out learns
    edgeship runtimes install client-c
    python -m scripts.bench.learning.clients learns fashion/evaluation.npz
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

from edgeship.bundle.bundle import open_bundle
from edgeship.client.learning import HeadLearner
from edgeship.deploy.codegen.generate import write_clients
from edgeship.light_dataclass import dataclass
from edgeship.runtimes.clients.c_clients import STRICT
from edgeship.runtimes.clients.tools import find_compiler, tflite_library
from scripts import RESULTS
from scripts.bench.learning.head import BAR_AFTER, BAR_LABELS, BAR_LOSS, BAR_SHIFT, SEEDS, Array
from scripts.bench.learning.shifted_images import read_images, shift_images
from tests.deploy.codegen.conftest import DRIVERS
from tests.deploy.codegen.learning.script import Script, play

PAGE = RESULTS / "learning" / "clients.md"
PARTS = ("edgeship", "table", "engine_tflite")


@dataclass(frozen=True)
class Tested:
    """Percent right on shifted and on clean test images; whether a new head answers."""

    shifted: float
    clean: float
    kept: bool = False


@dataclass(frozen=True)
class Pictures:
    """Tensors of pictures with their labels: the shifted ones of one half to learn from, both kinds of the other to test on."""

    learned: Array
    learned_y: Array
    shifted: Array
    clean: Array
    tested_y: Array

    def judge(self, scores: tuple[Array, Array], *, kept: bool) -> Tested:
        """Scores (n, classes) of the shifted and of the clean ones."""
        right = [100 * float((item.argmax(1) == self.tested_y).mean()) for item in scores]
        return Tested(right[0], right[1], kept)


def draw_rows(pictures: Pictures, seed: int) -> Array:
    """Which pictures are corrected: those that `scripts.bench.learning.head` draws."""
    return np.random.default_rng(seed).permutation(len(pictures.learned))[:BAR_LABELS]


def compile_client(bundle: Path, folder: Path) -> Path:
    """The program that teaches, beside the folder `c`."""
    (client,) = write_clients(open_bundle(bundle), ["c"], folder)
    sources = [client / f"{name}.c" for name in PARTS]
    sources += [path for path in sorted((client / "learning").glob("*.c")) if path.name != "lessons.c"]
    library, program = tflite_library().parent, folder / "teach"
    link = [f"-L{library}", f"-Wl,-rpath,{library}", "-ltensorflowlite_c", "-lm"]
    command = [find_compiler() or "cc", *STRICT, f"-I{client}", *sources, DRIVERS / "teach.c", "-o", program, *link]
    subprocess.run(list(map(str, command)), check=True)
    return program


def teach_in_c(bundle: Path, pictures: Pictures, folder: Path) -> list[Tested]:
    """The shipped head, then what is learned of each draw."""
    program, script = compile_client(bundle, folder), Script()
    script.predict(pictures.shifted).predict(pictures.clean)
    for seed in SEEDS:
        rows = draw_rows(pictures, seed)
        script.collect(pictures.learned[rows], pictures.learned_y[rows]).learn()
        script.predict(pictures.shifted).predict(pictures.clean).forget(samples=True)
    told, answers = play(program, folder / "c" / "head", folder / "state", script)
    kept = [False, *(bool(item["kept"]) for item in told if item["what"] == "l")]
    parts = answers.reshape(len(kept), 2, len(pictures.tested_y), -1)
    return [pictures.judge((part[0], part[1]), kept=one) for part, one in zip(parts, kept, strict=True)]


def teach_in_python(bundle: Path, pictures: Pictures, folder: Path) -> list[Tested]:
    """The same with `edgeship.client`, on the same base."""
    learner = HeadLearner(bundle / "learning", folder / "python", "tflite/int8")
    name = learner.inputs[0]["name"]

    def test(*, kept: bool) -> Tested:
        scores = learner.predict({name: pictures.shifted}), learner.predict({name: pictures.clean})
        return pictures.judge(scores, kept=kept)

    found = [test(kept=False)]
    for seed in SEEDS:
        rows = draw_rows(pictures, seed)
        learner.collect({name: pictures.learned[rows]}, pictures.learned_y[rows])
        found.append(test(kept=learner.learn().kept))
        learner.forget()
    return found


def render_row(name: str, tested: list[Tested], missed: list[str]) -> str:
    """A row of the table; what misses the bar is added to `missed`."""
    shipped, learned = tested[0], tested[1:]
    shifted, clean = (float(np.mean([getattr(item, what) for item in learned])) for what in ("shifted", "clean"))
    if shifted < BAR_AFTER or shipped.clean - clean > BAR_LOSS:
        missed.append(f"{name}: {shifted:.1f} % shifted, {clean - shipped.clean:+.1f} points clean")
    kept = f"{sum(item.kept for item in learned)} of {len(learned)}"
    return f"| {name} | {shipped.shifted:.1f} | {shifted:.1f} | {shipped.clean:.1f} | {clean:.1f} | {kept} |"


def render(bundle: Path, evaluation: Path) -> tuple[str, list[str]]:
    """The page, and which bars were missed."""
    started, missed = time.perf_counter(), list[str]()
    images, labels = read_images(evaluation)
    order = np.random.default_rng(3).permutation(len(images))
    learn, test = order[: len(order) // 2], order[len(order) // 2 :]
    turned, plain = shift_images(images, BAR_SHIFT), images.astype(np.float32)
    pictures = Pictures(turned[learn], labels[learn], turned[test], plain[test], labels[test])
    with tempfile.TemporaryDirectory() as name:
        rows = [
            render_row(title, teach(bundle, pictures, Path(name)), missed)
            for title, teach in (("generated client in C", teach_in_c), ("edgeship.client", teach_in_python))
        ]
    lines = [
        "# What a generated client learns",
        "",
        f"By `python -m scripts.bench.learning.clients BUNDLE EVALUATION`: {BAR_SHIFT}, {BAR_LABELS} corrected pictures of one "
        f"half of fashion-mnist's test images, percent right on the other 5,000; mean of {len(SEEDS)} draws. Both have the base "
        "tflite/int8, each on its own runtime.",
        f"{date.today().isoformat()}, {time.perf_counter() - started:.0f} s. "
        + (f"Missed: {'; '.join(missed)}." if missed else "No bar was missed.")
        + f" The bar: at least {BAR_AFTER:.0f} %, clean at most -{BAR_LOSS} points.",
        "",
        "| | shifted, before | after | clean, before | after | kept |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines), missed


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("evaluation", type=Path)
    arguments = parser.parse_args()
    text, missed = render(arguments.bundle, arguments.evaluation)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
