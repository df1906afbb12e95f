"""`edgeship train --data` on real tables of other people, as it is and with `--tune`, beside scikit-learn's baselines.

`python -m scripts.bench.own_tables FOLDER [TRIALS [TABLE ...]]` writes docs/results/own_tables.md. FOLDER holds packages with
tables in them: `uv pip install --no-deps --target FOLDER palmerpenguins==0.1.6 plotnine==0.15.9 orange3==3.40.0`.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import ROOT

PAGE = ROOT / "docs" / "results" / "own_tables.md"
TRIALS = 20
Row = Sequence[object]


@dataclass(frozen=True)
class Table:
    """A table, its label, and what it is made of; `read` gives names and rows out of the folder of packages."""

    name: str
    label: str
    what: str
    read: Callable[[Path], tuple[Row, list[Row]]]


def read_sklearn(name: str) -> Callable[[Path], tuple[Row, list[Row]]]:
    """A table that scikit-learn brings, with its target as the last column."""

    def read(_: Path) -> tuple[Row, list[Row]]:
        import sklearn.datasets

        found: Any = getattr(sklearn.datasets, f"load_{name}")()
        pairs = zip(found.data.tolist(), found.target.tolist(), strict=True)
        rows: list[Row] = [[*row, target] for row, target in pairs]
        return [*found.feature_names, "target"], rows

    return read


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
    Table("wine", "target", "13 numbers", read_sklearn("wine")),
    Table("titanic", "survived", "3 categories", read_orange("titanic.tab")),
    Table("heart disease", "diameter narrowing", "numbers and categories, with gaps", read_orange("heart_disease.tab")),
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


def train(path: Path, table: Table, out: Path, *options: str) -> tuple[Any, float]:
    """The card, and seconds."""
    start = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "edgeship.cli",
        "train",
        "--data",
        str(path),
        "--label",
        table.label,
        "--allow-worse",
    ]
    subprocess.run([*command, "--out", str(out), *options], check=True, stderr=subprocess.DEVNULL)
    return json.loads((out / "model-card.json").read_text()), time.perf_counter() - start


def figure(item: Any) -> float:
    """Accuracy, or the root mean square error."""
    accuracy = item.get("accuracy")
    return float(
        accuracy["value"] if isinstance(accuracy, dict) else accuracy if accuracy is not None else item["rmse"]
    )


def describe(card: Any) -> list[str]:
    """The network, the best baseline, and the verdict on it."""
    results = card["results"]
    is_share = "accuracy" in results
    best = (max if is_share else min)(results["baselines"], key=figure)
    shown = [f"{figure(item):.2%}" if is_share else f"{figure(item):.4g}" for item in (results, best)]
    return [shown[0], f"{shown[1]} ({best['name']})", f"{best['network']}, p = {best['p_value']:.2g}"]


def describe_tuning(card: Any) -> str:
    """In how many of the searches something better than the usual configuration was found, and by how much."""
    searches = card["tuning"]["searches"]
    gained = [item for item in searches if item["chosen"]]
    mean = sum(1 - item["chosen_loss"] / item["usual_loss"] for item in searches) / len(searches)
    return f"{len(gained)} of {len(searches)}, {mean:.1%} less"


def measure(packages: Path, trials: int, names: Sequence[str]) -> list[str]:
    """A line for each table of these names, or for all."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        for table in (table for table in TABLES if table.name in names or not names):
            path = Path(name) / f"{table.name.replace(' ', '-')}.csv"
            write_table(table, packages, path)
            usual, seconds = train(path, table, path.with_suffix(".usual"))
            rows = sum(item["samples"] for item in usual["data"]["splits"].values())
            cells = [table.name, table.what, f"{rows:,}", *describe(usual)]
            if trials:
                tuned, longer = train(path, table, path.with_suffix(".tuned"), "--tune", str(trials))
                cells += [*describe(tuned)[::2], describe_tuning(tuned), f"{seconds:.0f} / {longer:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return lines


def main(packages: Path, trials: int, names: Sequence[str]) -> None:
    """Measure, and write the page."""
    lines = measure(packages, trials, names)
    text = """# `edgeship train --data` on real tables

Accuracy, or the root mean square error of a value, on samples that were not learned from, beside the best of scikit-learn's
baselines on the same samples; the verdict is that of the card (McNemar's exact test, or a paired t-test of squared errors, at
5 %). `python -m scripts.bench.own_tables` writes this page, and says where the tables come from.
"""
    heads = ["table", "of", "rows", "network", "best baseline", "the network is"]
    if trials:
        heads += ["tuned", "the tuned one is", "found", "seconds"]
        text += f"""
*Tuned* is the same with `--tune {trials}`; *found* says in how many of the searches (one a fold) something better than the usual
configuration was found, and how much less the validation loss was on average.
"""
    rules = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    PAGE.write_text("\n".join((text, *rules, *lines)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else TRIALS, sys.argv[3:])
