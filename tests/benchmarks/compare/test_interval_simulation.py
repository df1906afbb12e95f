"""The simulation of docs/results/intervals.md with few repetitions: bars that only a broken rule misses."""

import numpy as np
import pytest

from edgeship.benchmarks.compare.metrics import METRICS
from scripts.bench import intervals
from scripts.bench.interval_samples import KINDS

CORE = {"binary_accuracy": "grid", "f1": "rare", "mae": "values"}


def test_every_metric_is_simulated():
    assert {task.name for task, _ in intervals.find_cases()} == set(METRICS)


@pytest.mark.parametrize(("name", "kind"), CORE.items())
def test_what_loses_the_margin_seldom_passes_and_what_loses_nothing_does_not_fail(monkeypatch, name, kind):
    monkeypatch.setattr(intervals, "QUICK", {10: 40, 100: 40})
    monkeypatch.setattr(intervals, "TRUTHS", 4)
    task = next(task for task, its in intervals.find_cases([name]) if its == kind)
    rows = list(intervals.simulate(task, kind, quick=True))
    assert [row.n for row in rows] == [10, 100]
    for row in rows:
        assert max(row.false_pass) <= 5 / 40  # of 40 at 3 % more than 5 in 1 of 500
        assert row.false_fail <= 3 / 40


@pytest.mark.parametrize("damage", ["none", "noise", "rare"])
@pytest.mark.parametrize("kind", KINDS)
def test_made_up_evaluations_have_the_shape_of_their_form(kind, damage):
    truth, server, artifact = KINDS[kind].draw(np.random.default_rng(0), 50, damage)
    assert len(truth) == len(server) == 50
    assert server.shape == artifact.shape
    assert not np.array_equal(server, artifact)


def test_summary_names_what_is_above_the_bar():
    row = intervals.Row("f1", "even", 100, 200, 0.02, (0.01, 0.2), 0.005, 0.5)
    assert "f1 (yes or no, as often, 100)" in intervals.summarize([row])
    assert (
        "| `f1` | yes or no, as often | 0.020 | 100 | 200 | 1.0% / 20.0% | 0.5% | 50.0% | 49.5% |"
        in intervals.describe([row])
    )
