"""`edgeship train --data` on real tables of other people, beside scikit-learn's baselines, over many splits.

`python -m scripts.bench.training.own_tables FOLDER [SPLITS] [--only TABLE ...]` writes docs/results/training/own_tables.md.
FOLDER holds packages with tables in them:
`pip install --no-deps --target FOLDER palmerpenguins==0.1.6 plotnine==0.15.9 orange3==3.40.0`.
"""

from __future__ import annotations

import csv
import json
import lzma
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgeship.train import embedded
from edgeship.train.own_data.built_in import flights as built_in_flights
from scripts import RESULTS, ROOT
from scripts.bench import parts

PAGE, WORK = RESULTS / "training" / "own_tables.md", ROOT / "runs" / "bench" / "own_tables"
SPLITS, FOLDS = 20, 5
EVERY = 3  # of so many flights one
LARGE = 10_000  # rows from which on a part is held out once: as many networks again would say little more
Row = Sequence[object]


@dataclass(frozen=True)
class Table:
    """A table, its label, and what it is made of; `read` gives names and rows out of the folder of packages.

    `options` of `edgeship train` beside the label.
    """

    name: str
    label: str
    what: str
    read: Callable[[Path], tuple[Row, list[Row]]]
    options: tuple[str, ...] = ()


def read_sklearn(name: str) -> Callable[[Path], tuple[Row, list[Row]]]:
    """A table that scikit-learn brings, with its target as the last column."""

    def read(_: Path) -> tuple[Row, list[Row]]:
        import sklearn.datasets

        found: Any = getattr(sklearn.datasets, f"load_{name}")()
        pairs = zip(found.data.tolist(), found.target.tolist(), strict=True)
        rows: list[Row] = [[*row, target] for row, target in pairs]
        return [*found.feature_names, "target"], rows

    return read


def read_flights(every: int) -> tuple[Row, list[Row]]:
    """One in `every` flights of those that come with edgeship, which are in no order but that of the file."""
    text = lzma.decompress((embedded.FOLDER / built_in_flights.FILE).read_bytes()).decode()
    head, *rows = csv.reader(text.splitlines())
    return head, list(rows[::every])


def read_csv(place: str) -> Callable[[Path], tuple[Row, list[Row]]]:
    """A CSV of a package."""

    def read(folder: Path) -> tuple[Row, list[Row]]:
        with (folder / place).open(newline="", encoding="utf-8") as stream:
            head, *rows = csv.reader(stream)
        return head, [list(row) for row in rows]

    return read


def read_orange(place: str) -> Callable[[Path], tuple[Row, list[Row]]]:
    """A .tab file of Orange: names, kinds and roles stand in its first three lines, `?` is a gap."""

    def read(folder: Path) -> tuple[Row, list[Row]]:
        with (folder / "Orange" / "datasets" / place).open(newline="", encoding="utf-8") as stream:
            head, _, _, *rows = csv.reader(stream, delimiter="\t")
        return head, [["" if value == "?" else value for value in row] for row in rows if row]

    return read


TABLES = (
    Table("breast cancer", "target", "30 numbers", read_sklearn("breast_cancer")),
    Table("digits", "target", "64 numbers", read_sklearn("digits")),
    Table("wine", "target", "13 numbers", read_sklearn("wine")),
    Table("titanic", "survived", "3 categories", read_orange("titanic.tab")),
    Table("heart disease", "diameter narrowing", "numbers and categories, with gaps", read_orange("heart_disease.tab")),
    Table(
        "flights",
        "late",
        "numbers and categories, with gaps; by day",
        lambda _: read_flights(EVERY),
        ("--group", built_in_flights.DAY),
    ),
    Table("penguins", "sex", "numbers and categories, with gaps", read_csv("palmerpenguins/data/penguins.csv")),
    Table("diabetes", "target", "10 numbers; a value", read_sklearn("diabetes")),
    Table("diamonds", "price", "6 numbers, 3 categories; a value", read_csv("plotnine/data/diamonds.csv")),
)


def write_table(table: Table, packages: Path, path: Path) -> None:
    """Write it as a CSV, without the rows whose label is missing."""
    head, rows = table.read(packages)
    place = list(head).index(table.label)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(row for row in rows if row[place] not in ("", "NA"))


@dataclass(frozen=True)
class Comparison:
    """A line of the page, whether the network's figure is at least the best baseline's, and whether it is worse beyond chance."""

    line: str
    at_least: bool
    worse: bool


def train(path: Path, out: Path, *options: str) -> Any:
    """The card of a training that may be worse than a baseline."""
    command = [sys.executable, "-m", "edgeship.cli", "train", "--data", str(path), "--allow-worse", "--out", str(out)]
    subprocess.run([*command, *options], check=True, stderr=subprocess.DEVNULL)
    return json.loads((out / "model-card.json").read_text())


def compare(table: Table, card: Any) -> Comparison:
    """The network beside the best baseline, by the means over all splits."""
    results = card["results"]
    is_share = "accuracy" in results
    name = "accuracy" if is_share else "rmse"
    best = (max if is_share else min)(results["baselines"], key=lambda item: item[name])

    def show(value: float) -> str:
        return f"{value:.2%}" if is_share else f"{value:.4g}"

    over = results.get("repeated")
    figure = over["value"] if over else results["accuracy"]["value"] if is_share else results["rmse"]
    interval = f" ({show(over['low'])} to {show(over['high'])})" if over else ""
    cells = [
        table.name,
        table.what,
        f"{sum(item['samples'] for item in card['data']['splits'].values()):,}",
        str(over["folds"] if over else 1),
        show(figure) + interval,
        f"{show(best[name])} ({best['name']})",
        f"{best['network']}, p = {best['p_value']:.2g}",
    ]
    ahead = figure >= best[name] if is_share else figure <= best[name]
    return Comparison(f"| {' | '.join(cells)} |", ahead, best["network"] == "worse")


def measure(table: Table, packages: Path, splits: int) -> dict[str, Any]:
    """A `Comparison` as JSON."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"{table.name.replace(' ', '-')}.csv"
        write_table(table, packages, path)
        with path.open(encoding="utf-8") as stream:
            rows = sum(1 for _ in stream) - 1
        many = () if rows > LARGE else ("--folds", str(FOLDS), "--repeats", str(max(1, splits // FOLDS)))
        found = compare(table, train(path, path.with_suffix(""), "--label", table.label, *table.options, *many))
    print(found.line, flush=True)
    return asdict(found)


def render(found: Sequence[Comparison]) -> str:
    """The page."""
    ahead, worse = (sum(getattr(item, name) for item in found) for name in ("at_least", "worse"))
    text = f"""# `edgeship train --data` on real tables

Accuracy, or the root mean square error of a value, on samples that were not learned from, beside the best of scikit-learn's
baselines on the same samples. Each table is split into {FOLDS} folds, and anew until there are so many splits, with one network
and each baseline trained for each fold, with seeds of their own; what has more than {LARGE:,} rows is split once. Means over all
splits with 95 % intervals that allow for what folds share; the verdict is that of the card, at 5 %
([train.md](../../training/train.md)).
`python -m scripts.bench.training.own_tables` writes this page, and says where the tables come from.

| table | of | rows | splits | network | best baseline | the network is |
|---|---|---|---|---|---|---|
"""
    lines = [item.line for item in found]
    verdict = (
        f"The network's figure is at least that of the best baseline, picked for each table after the fact, on {ahead} of "
        f"{len(found)} tables; it is worse beyond chance on {worse}."
    )
    return text + "\n".join((*lines, "", verdict)) + "\n"


def main() -> None:
    """Measure what is asked for, and write the page of all that was measured."""
    parser = parts.parser(__doc__, [table.name for table in TABLES], WORK, PAGE)
    parser.add_argument("packages", type=Path)
    parser.add_argument("splits", type=int, nargs="?", default=SPLITS)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    measures = {table.name: partial(measure, table, asked.packages, asked.splits) for table in TABLES}
    found = [Comparison(**item) for item in parts.take(measures, asked.only, asked.work).values()]
    asked.out.write_text(render(found), encoding="utf-8")


if __name__ == "__main__":
    main()
