"""False alarms and finds of `edgeship data check`: clean tables that are drawn anew, and the same with a fault planted.

`python -m scripts.bench.data_checks [DRAWS]` writes docs/results/data_checks.md.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edgeship.data_checks.report import DataReport
from edgeship.data_checks.sources.table import check_table
from scripts import ROOT
from tests.data_checks import drawn_tables as draw

PAGE = ROOT / "docs" / "results" / "data_checks.md"
Plant = Callable[[draw.Table, np.random.Generator], draw.Table]
CLASSES = ("numbers", "separable", "categories", "gaps", "imbalanced")
# What is planted, in which kinds of table it can be, and the check that must find it.
PLANTED: Mapping[str, tuple[Plant, tuple[str, ...], str]] = {
    "copies of a twentieth": (draw.plant_copies, ("numbers", "separable", "gaps", "imbalanced", "regression"), "duplicates"),
    "a column from after the outcome": (draw.plant_leak, CLASSES, "leakage"),
    "a number made of the target": (draw.plant_number_leak, ("regression",), "leakage"),
    "one label in twelve wrong": (lambda *given: draw.plant_wrong_labels(*given)[0], ("separable",), "labels"),
    "one label in twelve wrong, classes overlap": (
        lambda *given: draw.plant_wrong_labels(*given)[0], ("numbers",), "labels",
    ),
    "fifteen left of a class": (draw.plant_imbalance, CLASSES, "balance"),
}  # fmt: skip
FOLD = 600  # rows of the first split; the others are the evaluation data


def check_draw(table: draw.Table, folder: Path, evaluation: draw.Table | None = None) -> DataReport:
    """Check a table as it lies in a CSV."""
    other = draw.write_csv(folder / "evaluation.csv", evaluation) if evaluation else None
    return check_table(draw.write_csv(folder / "table.csv", table), "y", other, None)[0]


def count_alarms(kind: str, draws: int, folder: Path) -> tuple[int, list[str]]:
    """How many of the clean tables something was cried of, and what. Each is checked whole, and as two splits."""
    cried, texts = 0, []
    for seed in range(draws):
        table = draw.CLEAN[kind](np.random.default_rng(seed))
        splits = [draw.take_rows(table, list(rows)) for rows in (range(FOLD), range(FOLD, draw.ROWS))]
        findings = [*check_draw(table, folder).findings, *check_draw(splits[0], folder, splits[1]).findings]
        cried += bool(findings)
        texts += [f"{kind}, seed {seed}: {finding.check}: {finding.text}" for finding in findings]
    return cried, texts


def count_finds(what: str, kind: str, draws: int, folder: Path) -> int:
    """In how many tables with that fault it was found."""
    plant, _, check = PLANTED[what]
    found = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        report = check_draw(plant(draw.CLEAN[kind](rng), rng), folder)
        found += any(finding.check == check for finding in report.findings)
    return found


def count_shifts(kind: str, draws: int, folder: Path) -> int:
    """In how many pairs of splits a sensor that was gauged anew was found."""
    found = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        table = draw.CLEAN[kind](rng)
        first = draw.take_rows(table, list(range(FOLD)))
        second = draw.plant_shift(draw.take_rows(table, list(range(FOLD, draw.ROWS))), rng)
        found += any(finding.check == "shift" for finding in check_draw(first, folder, second).findings)
    return found


def main(draws: int) -> None:
    """Count, and write the page."""
    lines = [
        "# `edgeship data check` on drawn tables",
        "",
        f"Tables of {draw.ROWS} rows, drawn anew for each of {draws} seeds (`tests/data_checks/drawn_tables.py`): all figures",
        "are simulated. `python -m scripts.bench.data_checks` writes this page.",
        "",
        "| clean tables | with a finding, whole or as two splits |",
        "|---|---|",
    ]
    alarms: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in draw.CLEAN:
            cried, texts = count_alarms(kind, draws, folder)
            alarms += texts
            lines.append(f"| {kind} | {cried} of {draws} |")
        lines += ["", "| planted | in tables of | found |", "|---|---|---|"]
        for what, (_, kinds, _) in PLANTED.items():
            lines += [f"| {what} | {kind} | {count_finds(what, kind, draws, folder)} of {draws} |" for kind in kinds]
        for kind in ("numbers", "gaps", "regression"):
            found = count_shifts(kind, draws, folder)
            lines.append(f"| one number a deviation higher in the evaluation data | {kind} | {found} of {draws} |")
    lines += ["", *(f"- {text}" for text in alarms)] if alarms else []
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
