"""Whether the samples that an INCONCLUSIVE check asks for decide, by simulation; writes docs/results/advised_samples.md.

`OPENBLAS_NUM_THREADS=1 python -m scripts.bench.advised_samples` takes some minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgeship.benchmarks.compare.accuracy import compare
from edgeship.benchmarks.compare.statistics import POWER, judge_drop
from edgeship.benchmarks.gate.sample_sizes import count_output_samples, in_two_digits, samples_to_decide
from edgeship.bundle.figures.comparisons import OutputAccuracy
from edgeship.types import Verdict
from scripts import ROOT
from scripts.bench.interval_samples import KINDS

PAGE = ROOT / "docs" / "results" / "advised_samples.md"
FIRST, AGAIN = 25, 60  # evaluations that ask, and of the size that was asked for
SIZES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5)  # tried, in units of the median of what was asked for

# The metric, the kind of evaluation, the margin as a share of the server model's figure, and the first numbers of samples.
CASES = (
    ("top1", "classes", 0.02, (200, 800)),
    ("f1", "rare", 0.2, (800, 3000)),
    ("mean_iou", "masks", 0.02, (60, 250)),
    ("log_loss", "classes", 0.1, (200, 800)),
    ("average_precision", "rare", 0.2, (800, 3000)),
)


@dataclass(frozen=True)
class Row:
    """What `first` samples asked for, as quartiles over evaluations; the share that passed with so many; what is needed."""

    metric: str
    data: str
    artifact: str
    margin: float
    first: int
    asked: tuple[int, int, int]
    passed: float
    needed: int | None


def judge(metric: str, kind: str, share: float, copy: bool, seed: int, n: int) -> tuple[OutputAccuracy, float, Verdict]:
    """A drawn evaluation of `n` samples, its margin and its verdict; the artifact is a copy, or drawn as the server model is."""
    truth, server, artifact = KINDS[kind].draw(np.random.default_rng([seed, n]), n, "none")
    found = compare(truth, server, server.copy() if copy else artifact, metric)
    margin = share * (found.server or 0.0)
    if found.low is None or found.high is None:
        return found, margin, Verdict.INCONCLUSIVE
    return found, margin, judge_drop(found.low, found.high, margin, count_output_samples(found), found.at_least)


def simulate(metric: str, kind: str, share: float, first: int, *, copy: bool) -> Row | None:
    """A row; None where so few samples never leave it open."""
    draw = partial(judge, metric, kind, share, copy)
    asked = []
    for seed in range(FIRST):
        found, margin, verdict = draw(seed, first)
        if verdict is Verdict.INCONCLUSIVE and (number := samples_to_decide(found, margin)):
            asked.append(in_two_digits(number))
    if not asked:
        return None
    low, middle, high = (int(value) for value in np.percentile(asked, (25, 50, 75)))
    passed = {
        size: np.mean([draw(1000 + seed, round(size * middle))[2] is Verdict.PASS for seed in range(AGAIN)])
        for size in SIZES
    }
    needed = next((round(size * middle) for size in SIZES if passed[size] >= POWER), None)
    artifact = "a copy" if copy else "as good"
    return Row(metric, KINDS[kind].text, artifact, share, first, (low, middle, high), float(passed[1.0]), needed)


def find_rows() -> Iterator[Row]:
    """All rows, printed as they come."""
    for metric, kind, share, numbers in CASES:
        for first in numbers:
            for copy in (True, False):
                if row := simulate(metric, kind, share, first, copy=copy):
                    print(row, flush=True)
                    yield row


HEAD = """# Whether the samples that are asked for decide

By `python -m scripts.bench.advised_samples`: evaluations are drawn (`scripts/bench/interval_samples.py`) of an artifact that is a
copy of the server model, or in truth as good as it (both have noise of their own). Those that are INCONCLUSIVE ask for a number
of samples: its median, and its quartiles. *Passed*: of new evaluations of so many samples, the share that passes; promised are
80 % (60 are drawn: give or take 10 points). *Needed*: the least number tried, in steps of a tenth of the median, with which 80 %
passed.

| metric | data | artifact | margin | first samples | asked for | quartiles | passed | needed |
|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Write the page."""
    lines = [
        f"| `{row.metric}` | {row.data} | {row.artifact} | {row.margin:.0%} | {row.first:,} | {row.asked[1]:,} "
        f"| {row.asked[0]:,} to {row.asked[2]:,} | {row.passed:.0%} | {row.needed and format(row.needed, ',')} |\n"
        for row in find_rows()
    ]
    PAGE.write_text(HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
