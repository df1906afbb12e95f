"""What `edgeship train --data --tune N` gains: test figures with and without it, on two real tables and on pictures.

`python -m scripts.bench.training.tuning FOLDER [TRIALS [SEEDS]] [--only SET ...]` writes docs/results/training/tuning.md. FOLDER
holds a package with a table in it: `pip install --no-deps --target FOLDER ISLP==0.6.0`; the other two come with edgeship.
"""

from __future__ import annotations

import csv
import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.train import fashion_mnist
from scripts import RESULTS, ROOT
from scripts.bench import parts
from scripts.bench.training.own_tables import read_flights, train

PAGE, WORK = RESULTS / "training" / "tuning.md", ROOT / "runs" / "bench" / "tuning"
TRIALS, SEEDS = 12, 5
EVERY = 6  # of so many flights one
PICTURES, TESTED = 2000, 2000  # that are learned from, and that are tested
Rows = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Data:
    """A set, what it is made of, and the options of a training on it; `write` puts it into a folder and gives its path."""

    name: str
    what: str
    options: tuple[str, ...]
    write: Callable[[Path, Path], Path]


def write_csv(path: Path, rows: Rows) -> Path:
    """The rows, names first."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def write_bikes(packages: Path, folder: Path) -> Path:
    """Hours of a bicycle rental, without the two columns whose sum is the label."""
    with (packages / "ISLP" / "data" / "Bikeshare.csv").open(newline="", encoding="utf-8") as stream:
        head, *rows = csv.reader(stream)
    places = [place for place, name in enumerate(head) if name not in ("casual", "registered")]
    return write_csv(folder / "bikes.csv", [[row[place] for place in places] for row in (head, *rows)])


def write_flights(_: Path, folder: Path, every: int = EVERY) -> Path:
    """One in `every` flights of those that come with edgeship, which are in no order but that of the file."""
    head, rows = read_flights(every)
    return write_csv(folder / "flights.csv", [head, *rows])


def write_idx(path: Path, array: Any) -> None:
    """Bytes as an idx file."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(head + np.ascontiguousarray(array, np.uint8).tobytes())


def write_garments(_: Path, folder: Path) -> Path:
    """Idx files of the first pictures of Fashion-MNIST that come with edgeship, and of its first test pictures."""
    data = fashion_mnist.load(None)
    for part, name, count in (("train", "train", PICTURES), ("test", "t10k", TESTED)):
        split = data.splits[part]
        write_idx(folder / f"{name}-images-idx3-ubyte", split.inputs[:count, ..., 0])
        write_idx(folder / f"{name}-labels-idx1-ubyte", split.labels[:count])
    return folder


SETS = (
    Data("bikes", "8,645 rows of 12 columns; a value", ("--label", "bikers"), write_bikes),
    Data(
        "flights",
        "10,949 rows of 21 columns, by day; two classes",
        ("--label", "late", "--group", "day"),
        write_flights,
    ),
    Data(
        "garments", f"{PICTURES:,} pictures of 28 x 28 pixels and {TESTED:,} to test; ten classes", (), write_garments
    ),
)


@dataclass(frozen=True)
class Pair:
    """The test figures of one seed without and with tuning, and the validation losses of both configurations."""

    usual: float
    tuned: float
    usual_loss: float
    chosen_loss: float


def read_figure(card: Any) -> float:
    """The share of right answers, or the root mean square error."""
    results = card["results"]
    return float(results["accuracy"]["value"] if "accuracy" in results else results["rmse"])


def measure(data: Data, packages: Path, trials: int, seeds: int, keep: Callable[[Any], None]) -> dict[str, Any]:
    """A `Pair` for each seed as JSON, which is kept as soon as it is there; and whether more is better."""
    found: dict[str, Any] = {"pairs": [], "is_share": False}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        folder.mkdir()
        path = data.write(packages, folder)
        for seed in range(seeds):
            options = (*data.options, "--seed", str(seed))
            usual = train(path, Path(name) / f"usual-{seed}", *options)
            tuned = train(path, Path(name) / f"tuned-{seed}", *options, "--tune", str(trials))
            (search,) = tuned["tuning"]["searches"]
            found["is_share"] = "accuracy" in usual["results"]
            pair = Pair(read_figure(usual), read_figure(tuned), search["usual_loss"], search["chosen_loss"])
            found["pairs"].append(asdict(pair))
            keep(found)
            print(data.name, seed, pair, flush=True)
    return found


def describe(data: Data, pairs: Sequence[Pair], is_share: bool) -> tuple[str, float, float]:
    """A line of the page, and the interval of the gain: points of accuracy, or the share of the error that is gone."""
    from scipy.stats import t

    gains = [100 * (item.tuned - item.usual if is_share else 1 - item.tuned / item.usual) for item in pairs]
    mean, half = statistics.mean(gains), math.inf
    if len(gains) > 1:
        half = float(t.ppf(0.975, len(gains) - 1)) * statistics.stdev(gains) / len(gains) ** 0.5
    usual, tuned = (statistics.mean(getattr(item, name) for item in pairs) for name in ("usual", "tuned"))
    losses = 100 * statistics.mean(1 - item.chosen_loss / item.usual_loss for item in pairs)
    found = sum(item.chosen_loss < item.usual_loss for item in pairs)
    shown = [f"{value:.2%}" if is_share else f"{value:.4g}" for value in (usual, tuned)]
    unit = "points" if is_share else "% less error"
    interval = f"{mean - half:+.2f} to {mean + half:+.2f}" if len(gains) > 1 else "one seed, no interval"
    gain = f"{mean:+.2f} ({interval}) {unit}"
    cells = [data.name, data.what, str(len(pairs)), *shown, gain, f"{found} of {len(pairs)}, {losses:.1f} % less"]
    return f"| {' | '.join(cells)} |", mean - half, mean + half


def judge(lines: Sequence[tuple[str, float, float]], names: Sequence[str]) -> str:
    """What the intervals say."""
    better, worse, open_ones = (
        [name for name, (_, low, high) in zip(names, lines, strict=True) if of(low, high)]
        for of in (lambda low, _: low > 0, lambda _, high: high < 0, lambda low, high: low <= 0 <= high)
    )
    verdicts = {"better": better, "worse": worse, "no different beyond chance": open_ones}
    return (
        "With tuning the test figure is "
        + "; ".join(f"{what} on {', '.join(of)}" for what, of in verdicts.items() if of)
        + "."
    )


def render(found: Sequence[tuple[Data, Any]], trials: int) -> str:
    """The page."""
    measured = [(data, [Pair(**pair) for pair in item["pairs"]], item["is_share"]) for data, item in found]
    lines = [describe(*item) for item in measured]
    text = f"""# What `--tune` gains

`edgeship train --data` with `--tune {trials}` and without, each with the same seeds, on samples that neither training nor search
have seen: accuracy, or the root mean square error. The seed is that of training and search; the split is always the same. The
gain is the mean over seeds of pairs of the same seed, with its 95 % interval (Student's t): how much it hangs on the seed, and
not on which samples were drawn to be tested. *Found* says in how many of the searches something better than the usual
configuration was found, and how much less the validation loss was on average. `python -m scripts.bench.training.tuning`
writes this page.

| data | of | seeds | usual | tuned | gain | found |
|---|---|---|---|---|---|---|
"""
    body = "\n".join((*(line for line, _, _ in lines), "", judge(lines, [data.name for data, _, _ in measured])))
    return text + body + "\n"


def main() -> None:
    """Measure what is asked for, and write the page of all that was measured."""
    parser = parts.parser(__doc__, [data.name for data in SETS], WORK, PAGE)
    parser.add_argument("packages", type=Path)
    parser.add_argument("trials", type=int, nargs="?", default=TRIALS)
    parser.add_argument("seeds", type=int, nargs="?", default=SEEDS)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    measures = {
        data.name: partial(
            measure, data, asked.packages, asked.trials, asked.seeds, partial(parts.keep, asked.work, data.name)
        )
        for data in SETS
    }
    found = parts.take(measures, asked.only, asked.work)
    measured = [(data, found[data.name]) for data in SETS if data.name in found]
    asked.out.write_text(render(measured, asked.trials), encoding="utf-8")


if __name__ == "__main__":
    main()
