"""`make mutants`: every mutant of every model through the gate; writes docs/results/mutants.md.

`--models motion` judges only those again and takes the others' rows from the last run.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from scripts import RESULTS, ROOT
from tests.mutants.lab import matrix, models, score
from tests.mutants.lab.bench import Lab, Outcome

MODELS = ("motion", "fashion-mnist", "pair")


def judged(lab: Lab, folder: Path, name: str) -> list[matrix.Row]:
    """All rows of a model, shown as they come, and kept for the table."""
    models.prepare(lab, folder, name)
    rows = []
    for row in matrix.run(lab, folder, name):
        rows.append(row)
        print(f"{row.model:14} {row.artifact:22} {row.change or '(untouched)':58} {row.outcome.verdict}", flush=True)
    (folder / f"{name}.json").write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    return rows


def kept(folder: Path, name: str) -> list[matrix.Row]:
    """The rows of an earlier run; none where there was none."""
    path = folder / f"{name}.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [matrix.Row(**{**item, "outcome": Outcome(**item["outcome"])}) for item in stored]


def main() -> None:
    """Judge and write."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "mutants")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rows: list[matrix.Row] = []
    with Lab(given.folder / "lab") as lab:
        for name in MODELS:
            rows += judged(lab, given.folder, name) if name in given.models else kept(given.folder, name)
    (RESULTS / "mutants.md").write_text(score.markdown(rows), encoding="utf-8")
    print(score.sentence(score.totals(rows)))


if __name__ == "__main__":
    main()
