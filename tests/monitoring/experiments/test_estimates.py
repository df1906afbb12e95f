"""Estimates against tea-tasting, a library of its own making."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt

from edgeship.monitoring.experiments.planning.metrics import parse_metric
from edgeship.monitoring.experiments.users.estimates import compare_arms, moments_of, take_moments
from edgeship.monitoring.experiments.users.user_totals import UserTotals, group_rows
from edgeship.monitoring.experiments.verdicts.confidence_sequences import sequence_halfwidth


@pytest.fixture(scope="module")
def totals() -> UserTotals:
    """Users of different taste, with numbers of inferences from 1 to dozens, in two unequal arms."""
    rng = np.random.default_rng(5)
    n = 1500
    arms = np.where(rng.random(n) < 0.3, "treatment", "control")
    taste = rng.beta(1, 6, n) + 0.02 * (arms == "treatment")
    inferences, earlier = 1 + rng.geometric(0.1, n), rng.poisson(8, n)
    sums = {"inferences": inferences.astype(float), "bought": rng.binomial(inferences, taste).astype(float)}
    before = {"inferences": earlier.astype(float), "bought": rng.binomial(earlier, taste).astype(float)}
    return group_rows([f"u{number}" for number in range(n)], list(arms), sums, before)


def tea_tasting_result(totals, metric, use_before, equal_var):
    columns = {name: values for name, values in totals.sums.items()}
    columns |= {f"{name}_before": values for name, values in totals.before.items()}
    names = {"control": 0, "treatment": 1}
    columns["arm"] = np.array([names[totals.names[place]] for place in totals.arms])
    settings = {"use_t": False, "equal_var": equal_var}
    top, bottom = metric.counts if metric.denominator else (metric.numerator, None)
    covariates = [f"{top}_before", f"{bottom}_before"] if use_before else [None, None]
    made = tt.RatioOfMeans(top, bottom, *covariates, **settings) if bottom else tt.Mean(top, covariates[0], **settings)
    return made.analyze(pa.table(columns), control=0, treatment=1, variant="arm")


@pytest.mark.parametrize("use_before", [False, True])
@pytest.mark.parametrize("text", ["bought / inferences", "bought"])
def test_differences_are_those_of_tea_tasting(totals, text, use_before):
    metric = parse_metric(text)
    arms = (take_moments(totals, metric, arm) for arm in ("control", "treatment"))
    found = compare_arms(*arms, use_before=use_before)
    expected, other = (tea_tasting_result(totals, metric, use_before, equal_var) for equal_var in (False, True))
    assert found.control == pytest.approx(expected.control, rel=1e-9)
    assert found.treatment == pytest.approx(expected.treatment, rel=1e-9)
    statistic = min(expected.statistic, other.statistic, key=abs)
    assert found.difference / found.error == pytest.approx(statistic, rel=1e-9)
    assert (found.reduction > 0.05) == use_before


def test_a_share_of_users_is_a_proportion(totals):
    metric = parse_metric("any bought")
    found = compare_arms(*(take_moments(totals, metric, arm) for arm in ("control", "treatment")))
    shares = [(totals.sums["bought"][totals.users_of(arm)] > 0) for arm in ("control", "treatment")]
    assert found.difference == pytest.approx(shares[1].mean() - shares[0].mean())
    own = sum(share.var(ddof=1) / len(share) for share in shares)
    assert own <= found.error**2 < 1.05 * own


def test_many_experiments_are_as_one_by_one():
    rng = np.random.default_rng(0)
    rows = rng.poisson(3, (5, 2, 4, 80)).astype(float)
    many = moments_of(rows[:, 0]), moments_of(rows[:, 1])
    together = compare_arms(*many, use_before=True)
    for place in range(5):
        single = compare_arms(moments_of(rows[place, 0]), moments_of(rows[place, 1]), use_before=True)
        assert single.error == pytest.approx(together.error[place])
        assert single.difference == pytest.approx(together.difference[place])


def test_without_anything_there_is_no_difference_and_no_error():
    nothing = moments_of(np.zeros((4, 10)))
    found = compare_arms(nothing, nothing, use_before=True)
    assert found.difference == found.error == found.reduction == 0


def test_a_confidence_sequence_holds_at_every_moment():
    """2,000 walks of 400 steps each, without a difference: at most 5 % leave the interval at any step."""
    rng = np.random.default_rng(3)
    steps = np.arange(1, 401) / 400
    walks = rng.normal(0, np.sqrt(1 / 400), (2000, 400)).cumsum(axis=1)
    limits = np.array([sequence_halfwidth(1 / np.sqrt(step), step, 0.05) * step for step in steps])
    assert (np.abs(walks) > limits).any(axis=1).mean() < 0.05
    naive = 1.96 * np.sqrt(steps)
    assert (np.abs(walks) > naive).any(axis=1).mean() > 0.3
