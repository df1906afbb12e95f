"""Idx files through `edgeship train fashion-mnist --data-dir` and `train --data`, beside scikit-learn's baselines on all pixels.

`python -m scripts.bench.training.idx [--only SET ...]` writes docs/results/training/idx.md. The pictures come with edgeship and
with scikit-learn.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.train import idx
from scripts import RESULTS, ROOT
from scripts.bench import parts
from scripts.bench.training.tuning import write_garments, write_idx

PAGE, WORK = RESULTS / "training" / "idx.md", ROOT / "runs" / "bench" / "idx"
COMPONENTS = 400  # that a linear model takes of larger pictures, as in the cards
TESTED = 5  # of so many digits one is tested
WAYS = {
    "`train fashion-mnist --data-dir`": ("fashion-mnist", "--data-dir"),
    "`train --data`": ("--allow-worse", "--data"),
}


@dataclass(frozen=True)
class Pictures:
    """A set of pictures, what they are, and what writes its four idx files into a folder."""

    name: str
    what: str
    write: Callable[[Path], object]


def write_digits(folder: Path) -> None:
    """Handwritten digits, 8 x 8, every fifth to test."""
    import sklearn.datasets

    found: Any = sklearn.datasets.load_digits()
    pixels = np.rint(found.images * 255 / 16).astype(np.uint8)
    tested = np.arange(len(pixels)) % TESTED == 0
    for name, rows in (("train", ~tested), ("t10k", tested)):
        write_idx(folder / f"{name}-images-idx3-ubyte", pixels[rows])
        write_idx(folder / f"{name}-labels-idx1-ubyte", found.target[rows])


SETS = (
    Pictures("garments", "Fashion-MNIST, 28 x 28", lambda folder: write_garments(folder, folder)),
    Pictures("digits", "handwritten digits, 8 x 8", write_digits),
)
WHAT = {item.name: item.what for item in SETS}


def train(folder: Path, out: Path, options: Sequence[str]) -> float:
    """The share of test pictures that the network gets right."""
    command = [sys.executable, "-m", "edgeship.cli", "train", *options, str(folder), "--out", str(out)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    results = json.loads((out / "model-card.json").read_text())["results"]
    return float(results["accuracy"]["value"])


def score_baselines(folder: Path) -> dict[str, float]:
    """The share that a linear model and boosted trees get right, which see all pixels of all training pictures."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    images, labels, test_images, test_labels = idx.read_set(folder)
    rows, tested = (item.reshape(len(item), -1).astype(np.float32) for item in (images, test_images))
    components = min(COMPONENTS, rows.shape[1])
    models: Mapping[str, Any] = {
        "linear model": make_pipeline(
            StandardScaler(), PCA(components, random_state=0), LogisticRegression(max_iter=500)
        ),
        "boosted trees": HistGradientBoostingClassifier(random_state=0, early_stopping=len(rows) > 1000),
    }
    return {
        name: float((model.fit(rows, labels).predict(tested) == test_labels).mean()) for name, model in models.items()
    }


def measure(pictures: Pictures) -> dict[str, Any]:
    """The shares by what was trained, with the numbers of pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        folder.mkdir()
        pictures.write(folder)
        images, _, tested, _ = idx.read_set(folder)
        shares = {way: train(folder, Path(name) / str(place), WAYS[way]) for place, way in enumerate(WAYS)}
        found = {"learned": len(images), "tested": len(tested), "shares": {**shares, **score_baselines(folder)}}
    print(pictures.name, found, flush=True)
    return found


def render(found: Mapping[str, Any]) -> str:
    """The page."""
    names = list(next(iter(found.values()))["shares"])
    text = """# Idx files

The share of test pictures that is right: the built-in way and the one for own data, beside scikit-learn's linear model
(standardized, at most 400 principal components) and boosted trees (`HistGradientBoosting`) on all pixels of the same files.
`python -m scripts.bench.training.idx` writes this page.

"""
    head = ["pictures", "learned from", "tested", *names]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, item in found.items():
        shares = [f"{value:.2%}" for value in item["shares"].values()]
        cells = [WHAT[name], f"{item['learned']:,}", f"{item['tested']:,}", *shares]
        lines.append(f"| {' | '.join(cells)} |")
    ways = len(WAYS)
    ahead = sum(
        min(values[:ways]) >= max(values[ways:]) for values in ([*item["shares"].values()] for item in found.values())
    )
    verdict = f"Both ways are at least as good as the best baseline on {ahead} of {len(found)}."
    return text + "\n".join((*lines, "", verdict)) + "\n"


def main() -> None:
    """Measure what is asked for, and write the page of all that was measured."""
    asked = parts.parser(__doc__, [item.name for item in SETS], WORK, PAGE).parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    found = parts.take({item.name: partial(measure, item) for item in SETS}, asked.only, asked.work)
    asked.out.write_text(render(found), encoding="utf-8")


if __name__ == "__main__":
    main()
