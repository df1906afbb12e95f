"""Error rates by simulation, in small: scripts/bench/monitoring/drift.py does the same with 1,000 weeks of a real artifact."""

from __future__ import annotations

import numpy as np
import pytest

from edgeship.monitoring.drift.accuracy import Rate, calibrate, find_drop, find_rate
from edgeship.monitoring.drift.installs import cap_installs, find_cap, gather_installs, merge_installs
from edgeship.monitoring.drift.judge import judge_week
from edgeship.monitoring.drift.layout import make_layout
from edgeship.monitoring.drift.moves import find_moves
from scripts.bench.monitoring.drift import PLAIN, watch_quiet
from scripts.bench.monitoring.reference_drift import judge_by_reference
from scripts.bench.monitoring.simulated_drift import Field, World
from tests.monitoring.drift.small_field import make_reports


def test_no_drift_is_seldom_a_notice_and_never_an_alarm(answers):
    found = watch_quiet(answers, 50, 1, 150)
    assert found.notices <= 5  # 1.5 are expected, more than 5 in 0.4 % of seeds
    assert found.alarms == 0
    assert found.reference[0] <= 6  # of the same weeks: 1.5 are expected, more than 6 in 0.1 %
    assert found.reference[1] == 0


def test_inferences_are_no_sample(answers):
    """The same weeks by a chi-square test of inferences: users' taste alone is drift to it."""
    from scipy.stats import chi2_contingency

    classes, wrong = answers.layout.histograms[0], 0
    for seed in range(60):
        field = Field(answers, 50, seed)
        before, now = merge_installs(field.week(PLAIN) for _ in range(4)), field.week(PLAIN)
        table = np.stack([item.counts[:, classes.start : classes.stop].sum(axis=0) for item in (before, now)])
        wrong += chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue < 0.01
    assert wrong > 10


def test_noise_is_found_in_the_first_week(answers):
    for seed in range(5):
        field = Field(answers, 100, seed)
        before = merge_installs(field.week(PLAIN) for _ in range(4))
        now = field.week(World({"noise": 1.0}))
        found = judge_week(before, now, answers.layout)
        assert found.verdict == "ALARM", found.reasons
        assert judge_by_reference(before, now, answers.layout, seed) == (True, True)


def test_a_share_of_a_class_is_the_mean_of_users_shares(answers):
    """Of tastes that are tilted, and by users who stay when the shares change."""
    shares = (0.25, *(0.75 / 9,) * 9)
    field = Field(answers, 3000, 4, stay=0.9)
    field.week(PLAIN)
    counts = field.week(World({"clean": 1.0}, shares)).counts.sum(axis=0)[:10]
    assert counts[0] / counts.sum() == pytest.approx(0.25, abs=0.02)


def test_the_simulation_counts_as_clients_do(field, answers):
    """Rows that were made up at once have the columns of reports that went through JSON."""
    layout, calibration = make_layout(field.profile), calibrate(field.profile)
    installs = gather_installs(make_reports(field, 0, 40), layout, calibration)
    made = Field(answers, 40, 1).week(PLAIN)
    for item in layout.histograms[:-1]:
        assert np.all(installs.counts[:, item.start : item.stop].sum(axis=1) == 20), item.name
        assert np.all(made.counts[:, item.start : item.stop].sum(axis=1) == 20), item.name
    shares = [side.right.sum() / side.inferences.sum() for side in (installs, made)]
    assert shares[0] == pytest.approx(shares[1], abs=0.03)


def test_an_installation_of_several_reports_is_one(field):
    layout, calibration = make_layout(field.profile), calibrate(field.profile)
    week = gather_installs(make_reports(field, 0, 30), layout, calibration)
    twice = merge_installs([week, week])
    assert twice.names == week.names
    assert np.array_equal(twice.counts, 2 * week.counts)
    assert np.array_equal(twice.inferences, 2 * week.inferences)
    assert twice.slices == week.slices


def test_a_heavy_user_does_not_speak_for_all(field, answers):
    weeks = [Field(answers, 60, 3).week(PLAIN) for _ in range(2)]
    counts, inferences = weeks[0].counts.copy(), weeks[0].inferences.copy()
    counts[0] *= 10_000
    inferences[0] *= 10_000
    from dataclasses import replace

    heavy = replace(weeks[0], counts=counts, inferences=inferences, right=weeks[0].right * (inferences / 20))
    capped = cap_installs(heavy, find_cap(heavy))
    assert capped.inferences.max() == 80
    assert capped.right[0] <= 80


def test_the_bound_is_wrong_in_one_of_a_hundred():
    """Of drops of exactly the tolerance 1 % are called beyond it."""
    rng, wrong = np.random.default_rng(4), 0
    for _ in range(3000):
        before, now = (rng.beta(20 * mean, 20 * (1 - mean), size) for mean, size in ((0.9, 120), (0.89, 40)))
        drop = find_drop(find_rate(before * 20, np.full(120, 20.0)), find_rate(now * 20, np.full(40, 20.0)), 0.01)
        wrong += drop is not None and drop.low > 0.01
    assert 10 <= wrong <= 60


def test_as_many_installations_as_are_asked_for_decide():
    before, now = Rate(0.9, 1e-6, 5000), Rate(0.9, 1e-4, 100)
    drop = find_drop(before, now, 0.01)
    assert drop
    assert drop.more_installs
    assert drop.high > 0.01
    installs = 100 + drop.more_installs
    more = find_drop(before, Rate(0.9, 1e-2 / installs, installs), 0.01)
    assert more
    assert more.high < 0.01
    few = find_drop(Rate(0.9, 1e-4, 40), now, 0.01)
    assert few
    assert few.more_installs is None  # the baseline is too small


def test_the_histogram_that_moved_is_named(answers):
    field = Field(answers, 200, 9)
    before = merge_installs(field.week(PLAIN) for _ in range(4))
    now = field.week(PLAIN)
    item = next(item for item in answers.layout.histograms if item.name == "margin of scores")
    now.counts[:, item.start : item.stop] = np.roll(now.counts[:, item.start : item.stop], 1, axis=1)
    found = find_moves(before, now, answers.layout)
    assert found[0].name == "margin of scores"
    assert found[0].p < 0.001 < found[1].p
