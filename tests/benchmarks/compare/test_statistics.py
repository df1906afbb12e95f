import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship.benchmarks.compare import statistics
from edgeship.types import Verdict
from tests.present import present


@st.composite
def tables(draw):
    n = draw(st.integers(1, 5000))
    gained = draw(st.integers(0, n))
    return gained, draw(st.integers(0, n - gained)), n


# Fagerland, Lydersen and Laake, "Statistical Analysis of Contingency Tables" (2017), chapter 8, and the tests of its R package
# contingencytables: complete response before and after consolidation therapy (Cavo 2012; 59, 6, 16, 80).
def test_tango_interval_of_a_published_table():
    interval = statistics.paired_difference(6, 16, 59 + 6 + 16 + 80)
    assert (round(interval.low, 4), round(interval.high, 4)) == (-0.1240, -0.0054)


# The same authors' "Recommended tests and confidence intervals for paired binomial proportions" (Stat. Med. 2014): airway
# hyper-responsiveness before and after transplantation (Bentur 2009; 1, 1, 7, 12).
def test_tango_interval_of_a_small_published_table():
    interval = statistics.paired_difference(1, 7, 21)
    assert (round(interval.low, 3), round(interval.high, 3)) == (-0.517, -0.026)


def test_no_disagreement_keeps_a_width():
    # The limit that solves n * d = z * sqrt(n * d * (1 - d)) is z^2 / (n + z^2).
    interval = statistics.paired_difference(0, 0, 200)
    assert interval.high == pytest.approx(statistics.Z95**2 / (200 + statistics.Z95**2), abs=1e-12)
    assert interval.low == pytest.approx(-interval.high, abs=1e-12)


@given(tables())
def test_interval_holds_its_estimate_and_mirrors(table):
    gained, lost, n = table
    interval = statistics.paired_difference(gained, lost, n)
    mirrored = statistics.paired_difference(lost, gained, n)
    assert -1 <= interval.low <= (gained - lost) / n <= interval.high <= 1
    assert interval.low < interval.high
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low), abs=1e-9)


@given(tables(), st.integers(2, 50))
def test_more_samples_of_the_same_kind_narrow_the_interval(table, times):
    gained, lost, n = table
    narrow = statistics.paired_difference(gained * times, lost * times, n * times)
    wide = statistics.paired_difference(gained, lost, n)
    assert narrow.high - narrow.low < wide.high - wide.low


@given(tables())
def test_interval_ends_are_where_the_score_test_rejects(table):
    gained, lost, n = table
    interval = statistics.paired_difference(gained, lost, n)
    for end, sign in ((interval.low, 1), (interval.high, -1)):
        if -1 + 1e-6 < end < 1 - 1e-6:
            assert sign * statistics._tango_score(gained, lost, n, end) == pytest.approx(statistics.Z95, rel=1e-5)


@pytest.mark.parametrize(("gained", "lost", "n"), [(1, 1, 0), (-1, 0, 5), (3, 3, 5)])
def test_impossible_counts_are_refused(gained, lost, n):
    with pytest.raises(ValueError, match="impossible"):
        statistics.paired_difference(gained, lost, n)


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "loss"), [(0.01, 0.02), (0.05, 0.05), (0.002, 0.002)])
def test_tango_interval_covers_the_truth_about_as_often_as_it_says(gain, loss):
    rng = np.random.default_rng(1)
    counts = rng.multinomial(400, [gain, loss, 1 - gain - loss], size=2000)
    unique, times = np.unique(counts[:, :2], axis=0, return_counts=True)
    covered = 0
    for (gained, lost), repeated in zip(unique, times, strict=True):
        interval = statistics.paired_difference(int(gained), int(lost), 400)
        covered += repeated * (interval.low <= gain - loss <= interval.high)
    assert 0.93 <= covered / 2000 <= 0.995


# Newcombe 1998, "Two-sided confidence intervals for the single proportion", Stat. Med. 17:857, table I, method 5.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_exact_interval_of_published_examples(successes, n, low, high):
    interval = statistics.exact_interval(successes, n)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n))))
def test_exact_interval_stays_in_range_and_holds_its_estimate(case):
    successes, n = case
    interval = statistics.exact_interval(successes, n)
    assert 0 <= interval.low <= successes / n <= interval.high <= 1
    assert present(interval.spread) > 0


def test_holm_of_a_worked_example():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling.
    assert statistics.holm_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holm_never_lowers_and_keeps_the_order(p_values):
    adjusted = statistics.holm_p_values(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.asarray(adjusted)[order]) >= 0).all()
    bonferroni = [min(1, p * len(p_values)) for p in p_values]
    assert all(q <= b + 1e-12 for q, b in zip(adjusted, bonferroni, strict=True))


# Fagerland, Lydersen and Laake 2017, chapter 8 (Cavo 2012): exact conditional McNemar test.
def test_mcnemar_of_a_published_table():
    assert statistics.mcnemar_p_value(6, 16) == pytest.approx(0.052479, abs=1e-6)


def _interval(values, against=0.0, in_favour=0.0):
    """Of a mean drop, with what a sample that was not seen may cost or gain."""
    groups = statistics.groups_of(len(values))
    sums, sizes = np.bincount(groups, values), np.append(np.bincount(groups), 1)

    def ends(weights):
        low, high = ((weights @ np.append(sums, unseen)) / (weights @ sizes) for unseen in (in_favour, against))
        return low, high

    return statistics.bootstrap_interval(int(groups.max()) + 1, ends)


def test_bootstrap_of_a_mean_is_near_the_normal_interval():
    values = np.random.default_rng(0).normal(3, 2, 1500)
    interval = present(_interval(values, 3, 3))
    half = 1.96 * values.std() / math.sqrt(1500)
    assert interval.low == pytest.approx(values.mean() - half, abs=half / 6)
    assert interval.high == pytest.approx(values.mean() + half, abs=half / 6)
    assert interval.spread == pytest.approx(half / 1.96, rel=0.1)


def test_grouping_many_samples_keeps_the_width():
    values = np.random.default_rng(0).exponential(2, 40_000)
    interval = present(_interval(values, 2, 2))
    width = 2 * 1.96 * values.std() / math.sqrt(40_000)
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)


@pytest.mark.parametrize(("lost", "n"), [(0, 10), (0, 300), (3, 100), (20, 20), (150, 5000)])
def test_bootstrap_of_right_and_wrong_answers_gives_the_exact_binomial_ends(lost, n):
    interval, exact = present(_interval((np.arange(n) < lost).astype(float), 1, 0)), statistics.exact_interval(lost, n)
    assert interval.high == pytest.approx(exact.high, rel=0.1)
    assert interval.low == pytest.approx(exact.low, rel=0.1)


def test_bootstrap_is_the_same_every_time():
    values = np.random.default_rng(0).normal(size=300)
    assert _interval(values) == _interval(values)


def test_a_statistic_that_is_not_finite_has_no_interval():
    assert _interval(np.full(50, np.nan)) is None


@given(st.integers(1, 40), st.integers(0, 10**6))
def test_rounded_weights_add_up_and_are_near(columns, seed):
    weights = np.random.default_rng(seed).standard_exponential((5, columns))
    rounded = statistics.round_weights(weights, 7 * columns)
    exact = weights * 7 * columns / weights.sum(axis=1, keepdims=True)
    assert (rounded.sum(axis=1) == 7 * columns).all()
    assert (np.abs(rounded - exact) < 1 + 1e-9).all()


@given(st.integers(1, 10_000))
def test_groups_are_nearly_equal_and_bounded(n):
    sizes = np.bincount(statistics.groups_of(n))
    assert sizes.sum() == n
    assert len(sizes) == min(n, statistics.GROUPS)
    assert sizes.max() - sizes.min() <= 1


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1))
def test_non_inferiority_follows_its_definition(one, other, margin):
    low, high = sorted((one, other))
    verdict = statistics.non_inferior(low, high, margin)
    assert (verdict is Verdict.PASS) == (high < margin)
    assert (verdict is Verdict.FAIL) == (high >= margin and low > margin)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_no_pass(bad):
    assert statistics.non_inferior(-bad, 0.0, 1.0) is Verdict.FAIL
    assert statistics.non_inferior(0.0, bad, 1.0) is Verdict.FAIL
    assert statistics.non_inferior(0.5, 0.1, 1.0) is Verdict.FAIL


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.integers(1, 20))
def test_few_samples_decide_nothing(one, other, margin, n):
    low, high = sorted((one, other))
    undecided = n < statistics.LEAST_SAMPLES
    assert statistics.judge_drop(low, high, margin, n) is (
        Verdict.INCONCLUSIVE if undecided else statistics.non_inferior(low, high, margin)
    )


@given(st.integers(1, 2000), st.floats(0, 0.2), st.floats(0, 1))
def test_a_fail_takes_the_end_of_three_deviations(n, disagree, worse):
    lost, gained = round(n * disagree * worse), round(n * disagree * (1 - worse))
    interval = statistics.paired_difference(lost, gained, n)
    assert interval.at_least == statistics.paired_difference(lost, gained, n, statistics.Z_FAIL).low <= interval.low
    shares = statistics.exact_interval(lost, n)
    assert 0 <= shares.at_least <= shares.low


def test_an_artifact_at_the_margin_is_next_to_never_a_fail():
    """A FAIL by the interval of 95 % would be wrong in one of forty."""
    rng, drop, n = np.random.default_rng(5), 0.01, 1000
    losses = rng.multinomial(n, (0.03, 0.02, 0.95), size=2000)
    verdicts = []
    for lost, gained, _ in losses.tolist():
        interval = statistics.paired_difference(lost, gained, n)
        verdicts.append(statistics.judge_drop(interval.low, interval.high, drop, n, interval.at_least))
    assert verdicts.count(Verdict.FAIL) <= 8  # 2.7 are expected
    assert verdicts.count(Verdict.PASS) <= 75  # 50 are


def test_the_fewest_samples_are_those_whose_signs_can_be_significant():
    n = statistics.LEAST_SAMPLES
    assert statistics.mcnemar_p_value(0, n) < 0.05 < statistics.mcnemar_p_value(0, n - 1)


@given(st.integers(100, 3000), st.floats(0.02, 0.1), st.floats(0.0, 1.0), st.floats(0.15, 0.9), st.booleans())
def test_the_samples_told_would_decide(n, disagree, worse, place, above):
    lost, gained = round(n * disagree * worse), round(n * disagree * (1 - worse))
    drop, interval = (lost - gained) / n, statistics.paired_difference(lost, gained, n)
    margin = drop + place * ((interval.high if above else interval.low) - drop)
    if margin <= 0:
        return
    assert statistics.non_inferior(interval.low, interval.high, margin) is Verdict.INCONCLUSIVE
    scale = present(statistics.samples_needed(drop, interval, margin, n)) / n
    more = statistics.paired_difference(round(lost * scale), round(gained * scale), round(n * scale))
    assert statistics.non_inferior(more.low, more.high, margin) is not Verdict.INCONCLUSIVE


@pytest.mark.parametrize("disagreement", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize(("n", "margin"), [(20, 0.02), (100, 0.01), (400, 0.01)])
def test_the_samples_told_let_an_equal_artifact_pass_as_often_as_promised(n, margin, disagreement):
    """A first evaluation of n samples that decides nothing, then one of as many samples as it asks for."""
    rng = np.random.default_rng(1)
    shares = [disagreement / 2, disagreement / 2, 1 - disagreement]
    told = passed = 0
    for lost, gained, _ in rng.multinomial(n, shares, size=300).tolist():
        drop, interval = (lost - gained) / n, statistics.paired_difference(lost, gained, n)
        needed = statistics.samples_needed(drop, interval, margin, n)
        if needed is None or statistics.non_inferior(interval.low, interval.high, margin) is not Verdict.INCONCLUSIVE:
            continue
        again_lost, again_gained, _ = rng.multinomial(needed, shares).tolist()
        told += 1
        passed += statistics.paired_difference(again_lost, again_gained, needed).high < margin
    assert passed >= told * (statistics.POWER - 0.05)


@given(st.floats(-0.02, 0.05), st.floats(0.0005, 0.02), st.integers(20, 5000))
def test_what_is_open_is_always_told_more_samples_than_there_are(drop, error, n):
    interval = statistics.Interval(drop - 1.96 * error, drop + 1.96 * error, error)
    if statistics.non_inferior(interval.low, interval.high, 0.01) is Verdict.INCONCLUSIVE and drop != 0.01:
        told, seen = (f(drop, interval, 0.01, n) for f in (statistics.samples_advised, statistics.samples_needed))
        assert n < present(told) <= present(seen)


def test_no_number_of_samples_decides_a_drop_on_the_margin():
    assert statistics.samples_needed(0.01, statistics.Interval(0.0, 0.02, 0.005), 0.01, 500) is None
