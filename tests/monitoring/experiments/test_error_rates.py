"""Error rates by simulation, in small: scripts/bench/monitoring/experiments.py does the same with 10,000 runs."""

from __future__ import annotations

import numpy as np
import pytest

from edgeship.monitoring.experiments.planning.plan import make_plan
from edgeship.monitoring.experiments.verdicts.confidence_sequences import SAMPLE_RATIO_ALPHA, sample_ratio_p
from edgeship.monitoring.experiments.verdicts.decision import decide
from scripts.bench.monitoring import simulated_experiments as simulated


def test_equal_models_are_found_different_in_one_of_twenty():
    found = simulated.simulate_shares((0.1, 0.1), 2000, 20, 10_000, seed=1)
    assert 0.04 <= found.stopped <= 0.055
    assert abs(found.above - found.below) < 0.01
    assert found.naive > 0.2  # 1.96 at every look


def test_a_small_arm_without_events_is_no_difference():
    """With a variance of its own alone for each arm equal models differ in one of five of these."""
    assert simulated.simulate_shares((0.05, 0.05), 900, 5, 4000, seed=11, less=9).stopped < 0.06
    assert simulated.simulate_skewed((1800, 200), 5, 400, seed=12).stopped < 0.07


def test_a_point_is_found_as_often_as_planned():
    plan = simulated.plan_of(5)
    found = simulated.simulate_shares((0.10, 0.11), plan.users_control, 5, 10_000, seed=2)
    assert found.above == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("rate", "better"), [(0.12, "higher"), (0.08, "lower")])
def test_a_small_arm_finds_as_often_as_planned(rate, better):
    plan = make_plan(metric="any x", baseline=0.10, effect=0.02, better=better, treatment_percent=10)
    found = simulated.simulate_shares((0.10, rate), plan.users_control, 5, 4000, seed=13, less=9)
    assert max(found.above, found.below) == pytest.approx(0.8, abs=0.03)


def test_users_are_the_sample_and_not_inferences():
    found, per_inference = simulated.simulate_taste(400, 5, 2000, seed=3)
    assert 0.035 <= found.stopped <= 0.065
    assert per_inference > 0.12


def test_the_decision_on_one_experiment_is_that_on_thousands():
    plan = simulated.plan_of(5)
    users, runs = plan.users_control, 60
    found = simulated.draw_looks(np.random.default_rng(4), (0.10, 0.11), users, 5, runs)
    reached = [users * (look + 1) // 5 for look in range(5)]
    together = simulated.count_stops(simulated.z_values(found), [count / users for count in reached])
    stopped = 0
    for run in range(runs):
        stopped += decide(plan, simulated.take_looks(found, run, reached)).crossed > 0
    assert stopped / runs == together.above


def test_the_interval_at_the_end_holds_the_truth():
    found = simulated.simulate_estimates(simulated.plan_of(3), 0.11, 200, seed=5)
    assert found.covered > 0.9
    assert 0.4 < found.too_high < 0.6
    assert found.estimate_of_winners < found.seen_of_winners


def test_a_guardrail_may_be_looked_at_any_time():
    assert simulated.simulate_guardrail((0.005, 0.005), 20_000, 100, 1000, seed=6)[-1] < 0.05
    assert simulated.simulate_guardrail((0.005, 0.02), 20_000, 20, 1000, seed=7)[4] > 0.95


def test_the_period_before_makes_an_experiment_stronger():
    plain, cuped, taken = simulated.simulate_cuped(2000, 200, 8, 0.01)
    assert cuped > plain + 0.1
    assert taken == pytest.approx(0.5, abs=0.03)


def test_a_broken_draw_is_found_and_a_right_one_is_not():
    assert simulated.simulate_ratio_check(0.5, 10_000, 100, 5000, seed=9) < SAMPLE_RATIO_ALPHA
    assert simulated.simulate_ratio_check(0.51, 100_000, 20, 500, seed=10) > 0.95
    assert sample_ratio_p(900, 100, 0.1) == 1.0
    assert sample_ratio_p(500, 500, 0.1) < 1e-50
