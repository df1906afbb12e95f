"""How often the gate is wrong, by simulation, for every metric and number of samples; writes docs/results/intervals.md.

`OPENBLAS_NUM_THREADS=1 python -m scripts.bench.intervals` takes about half an hour of two cores, with a case in each (threads of
a busy machine wait for each other, and it takes ten times as long). `--quick` takes some minutes (up to 300 samples) and prints
the table only, as do names of metrics, which restrict it to them.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from edgeship.benchmarks.compare import drop_intervals, statistics
from edgeship.benchmarks.compare.metrics import METRICS, Form, SumStatistic, TaskMetric
from edgeship.benchmarks.compare.unseen import LabelledOutputs
from edgeship.benchmarks.gate.sample_sizes import count_samples
from edgeship.types import Verdict
from scripts import ROOT
from scripts.bench.interval_samples import KINDS, Evaluation

PAGE = ROOT / "docs" / "results" / "intervals.md"
# Repetitions by number of samples. An order of many scores takes seconds with many samples, and so do boxes.
REPETITIONS = {10: 50, 30: 50, 100: 50, 300: 40, 1000: 32, 3000: 24, 10_000: 24}
BOX_REPETITIONS = {10: 30, 30: 30, 100: 20, 300: 10, 1000: 6, 3000: 4, 10_000: 2}
SLOW_REPETITIONS = {10: 24, 30: 16, 100: 8, 300: 6}
QUICK = {10: 50, 30: 50, 100: 50, 300: 40}
SLOW_QUICK = {10: 20, 30: 20, 100: 10}
TRUTH_SAMPLES, SLOW_TRUTH_SAMPLES = 20_000, 5000
TRUTHS, SLOW_TRUTHS = 10, 3  # so many draws of them, whose mean drop is taken for the true one
SEED = "29 November"  # none of those that bounds were chosen with
DAMAGES = ("noise", "rare")
FALSE_PASS = 0.03  # at the margin, at most


@dataclass(frozen=True)
class Row:
    """The share of verdicts with `n` samples: false PASS where the true drop is the margin, and the verdicts at equality."""

    metric: str
    kind: str
    n: int
    repetitions: int
    margin: float
    false_pass: tuple[float, float]
    false_fail: float
    passed: float

    @property
    def open(self) -> float:
        """The share of INCONCLUSIVE at equality."""
        return 1 - self.false_fail - self.passed


def find_cases(names: Sequence[str] = ()) -> Iterator[tuple[TaskMetric, str]]:
    """Each metric with each kind of evaluation that has its form. Accuracy is not asked where few are a yes."""
    for metric in METRICS.values():
        for name, kind in KINDS.items():
            blind = name == "rare" and metric.name == "binary_accuracy"
            if kind.form in metric.forms and not blind and (not names or metric.name in names):
                yield replace(metric, form=kind.form), name


def judge(task: TaskMetric, evaluation: Evaluation, margin: float) -> Verdict:
    """The verdict of the gate's accuracy check. Without a figure it is none, as where there is no yes among the labels."""
    truth, server, artifact = evaluation
    of_both = (task.statistic(truth, server, logits=True), task.statistic(truth, artifact, logits=True))
    if not np.isfinite([float(item(np.ones((1, len(truth))))[0]) for item in of_both]).all():
        return Verdict.INCONCLUSIVE
    samples = LabelledOutputs(truth, server, artifact)
    interval = drop_intervals.interval_of_drop(task, samples, of_both, logits=True).interval
    classes = np.unique(truth, return_counts=True)[1].tolist() if task.answers else []
    n = count_samples(task.name, len(truth), classes)
    if interval is None:
        return Verdict.FAIL
    return statistics.judge_drop(interval.low, interval.high, margin, n, interval.at_least)


def true_drop(task: TaskMetric, kind: str, damage: str, draws: int, samples: int = TRUTH_SAMPLES) -> float:
    """What the artifact loses in many samples."""
    sign, drops = (1 if task.higher_is_better else -1), []
    for seed in range(draws):
        truth, server, artifact = KINDS[kind].draw(np.random.default_rng(1000 + seed), samples, damage)
        one, two = (
            float(task.statistic(truth, item, logits=True)(np.ones((1, len(truth))))[0]) for item in (server, artifact)
        )
        drops.append(sign * (one - two))
    return float(np.mean(drops))


def simulate(task: TaskMetric, kind: str, *, quick: bool = False) -> Iterator[Row]:
    """The rows of a metric, from few samples to many; at equality the margin is the drop that a few spoilt samples make."""
    truth, server, _ = KINDS[kind].draw(np.random.default_rng(0), 100, "none")
    fast = isinstance(task.statistic(truth, server, logits=True), SumStatistic) or truth[0].size == 1
    draws = (TRUTHS, TRUTH_SAMPLES) if fast else (SLOW_TRUTHS, SLOW_TRUTH_SAMPLES)
    margins = {damage: true_drop(task, kind, damage, *draws) for damage in DAMAGES}
    many = REPETITIONS if fast else BOX_REPETITIONS if task.form is Form.BOXES else SLOW_REPETITIONS
    for n, repetitions in ((QUICK if fast else SLOW_QUICK) if quick else many).items():

        def judge_many(damage: str, n: int = n, repetitions: int = repetitions) -> list[Verdict]:
            rng = np.random.default_rng(zlib.crc32(f"{SEED} {task.name} {kind} {n} {damage}".encode()))
            margin = margins.get(damage, margins["rare"])
            return [judge(task, KINDS[kind].draw(rng, n, damage), margin) for _ in range(repetitions)]

        noise, rare = (judge_many(damage).count(Verdict.PASS) / repetitions for damage in DAMAGES)
        equal = judge_many("none")
        fails, passes = (equal.count(verdict) / repetitions for verdict in (Verdict.FAIL, Verdict.PASS))
        yield Row(task.name, kind, n, repetitions, margins["rare"], (noise, rare), fails, passes)


def describe(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    lines = [
        "| metric | data | margin | samples | repetitions | false PASS, noise / rare | false FAIL | PASS | INCONCLUSIVE |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        noise, rare = (f"{share:.1%}" for share in row.false_pass)
        lines.append(
            f"| `{row.metric}` | {KINDS[row.kind].text} | {row.margin:.3f} | {row.n:,} | {row.repetitions} | {noise} / {rare} "
            f"| {row.false_fail:.1%} | {row.passed:.1%} | {row.open:.1%} |"
        )
    return "\n".join(lines) + "\n"


def summarize(rows: Sequence[Row]) -> str:
    """All false PASS together, and the cells above the bar by more than chance: exact, with 5 % for all (Bonferroni)."""
    from scipy.special import bdtrc

    trials = sum(2 * row.repetitions for row in rows)
    wrong = sum(share * row.repetitions for row in rows for share in row.false_pass)
    above = [
        f"{row.metric} ({KINDS[row.kind].text}, {row.n:,})"
        for row in rows
        if bdtrc(round(max(row.false_pass) * row.repetitions) - 1, row.repetitions, FALSE_PASS) < 0.05 / (2 * len(rows))
    ]
    failed = sum(row.false_fail * row.repetitions for row in rows) / (trials / 2)
    return (
        f"Of {trials:,} evaluations at the margin {wrong / trials:.2%} passed; of {trials // 2:,} at equality {failed:.2%} "
        f"failed. Cells whose false PASS is above {FALSE_PASS:.0%} by more than chance: {', '.join(above) or 'none'}.\n"
    )


def summarize_sizes(rows: Sequence[Row]) -> str:
    """All metrics together, by the number of samples, in Markdown."""
    lines = [
        "| samples | evaluations at the margin | false PASS | evaluations at equality | false FAIL | PASS |",
        "|---|---|---|---|---|---|",
    ]
    for n in sorted({row.n for row in rows}):
        same = [row for row in rows if row.n == n]
        total = sum(row.repetitions for row in same)
        wrong = sum(sum(row.false_pass) * row.repetitions for row in same) / (2 * total)
        failed, passed = (
            sum(getattr(row, name) * row.repetitions for row in same) / total for name in ("false_fail", "passed")
        )
        lines.append(f"| {n:,} | {2 * total:,} | {wrong:.2%} | {total:,} | {failed:.2%} | {passed:.1%} |")
    return "\n".join(lines) + "\n"


HEAD = """# How often the gate is wrong

By `OPENBLAS_NUM_THREADS=1 python -m scripts.bench.intervals`, on made-up evaluations (`scripts/bench/interval_samples.py`), by
the gate's own code. They are drawn with other seeds than those with which its bounds were chosen, each row with its own, so that
a run of some metrics gives the rows that a run of all gives. *False PASS*: the artifact loses in truth exactly the margin, by
noise in all samples or by a few (3 %, of values 1 %) that are spoilt; the bar is 3 %. Spoilt are: scores turned round; of the
grid of few yes and of the masks, half answered with the commonest answer everywhere, half as another sample. *False FAIL*,
*PASS*, *INCONCLUSIVE*: the artifact is as good as the server model, and the margin is what the few spoilt samples cost. Where the
data have no figure (no yes among the labels) nothing is decided.

A single cell is as precise as its repetitions allow: where 3 % pass in truth, 5 of 50 or 4 of 24 are seen by chance in some
of so many cells. All cells of one number of samples together tell more, and so do those of a metric. The true margin is
itself known to about 1 % only, which adds a point to false PASS with 10,000 samples. Orders of all scores of a grid end at 300
samples, as more take seconds each.

"""


def _simulate_case(place: int, names: Sequence[str], quick: bool) -> list[Row]:
    """The rows of one of the cases, by its place: metrics hold functions, which do not go to another process."""
    return list(simulate(*list(find_cases(names))[place], quick=quick))


def main() -> None:
    """Print the table as it comes; write the page, unless it is a part only."""
    quick, names = "--quick" in sys.argv[1:], [name for name in sys.argv[1:] if not name.startswith("-")]
    rows, cases = [], list(find_cases(names))
    with ProcessPoolExecutor() as pool:
        for part in pool.map(_simulate_case, range(len(cases)), [names] * len(cases), [quick] * len(cases)):
            rows += part
            print("\n".join(describe(part).splitlines()[2:]), flush=True)
    print(summarize(rows))
    if not (quick or names):
        PAGE.write_text("\n".join([HEAD + summarize(rows), summarize_sizes(rows), describe(rows)]), encoding="utf-8")


if __name__ == "__main__":
    main()
