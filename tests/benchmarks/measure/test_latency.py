from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from edgeship.benchmarks.measure import latency, latency_ratio
from edgeship.errors import InputError, ProcessError
from tests.present import present


# MLPerf inference's early stopping, c = 0.99 and d = 0 (measuring conventions of LoadGen).
def test_least_queries_for_an_estimate():
    assert latency.early_stopping_rank(63, 0.9) is None
    assert latency.early_stopping_rank(64, 0.9) == 1
    assert latency.early_stopping_rank(661, 0.99) is None
    assert latency.early_stopping_rank(662, 0.99) == 1


def test_of_1024_queries_the_79_slowest_are_dropped():
    samples = np.random.default_rng(0).permutation(1024).astype(float)
    assert (samples > present(latency.early_stopping_estimate(samples.tolist(), 0.9))).sum() == 79


@settings(deadline=None)
@given(st.integers(1, 3000), st.sampled_from([0.5, 0.9, 0.97, 0.99]))
def test_rank_is_the_largest_that_the_binomial_allows(n, percentile):
    counts = np.arange(1, n + 1)
    allowed = counts[binom.cdf(counts, n, 1 - percentile) <= 0.01]
    assert latency.early_stopping_rank(n, percentile) == (allowed[-1] if len(allowed) else None)


def test_estimate_is_never_below_the_sample_percentile():
    samples = np.random.default_rng(1).lognormal(0, 0.5, 500)
    assert present(latency.early_stopping_estimate(samples.tolist())) > np.percentile(samples, 90)


@pytest.mark.slow
def test_estimate_bounds_the_true_percentile_99_times_in_100():
    rng = np.random.default_rng(2)
    estimates = np.array([latency.early_stopping_estimate(rng.random(200).tolist()) for _ in range(3000)])
    assert (estimates < 0.9).mean() <= 0.015


def test_estimate_agrees_with_loadgen_on_its_own_rank():
    # LoadGen sorts and takes element n - t: the t-th slowest.
    samples = [float(value) for value in range(64)]
    assert latency.early_stopping_estimate(samples) == 63.0


def test_summary_of_known_values():
    summary = latency.summarize_latencies([float(value) for value in range(1, 102)])
    assert (summary.n, summary.min_ms, summary.p50_ms, summary.mean_ms) == (101, 1.0, 51.0, 51.0)
    assert summary.p90_ms == pytest.approx(91.0)
    assert latency.summarize_latencies([1.0] * 63).p90_early_stopping_ms is None


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")]])
def test_no_summary_of_nothing(samples):
    with pytest.raises(ValueError, match="no latencies"):
        latency.summarize_latencies(samples)


def test_histogram_counts_all_but_the_slow_tail():
    samples = np.random.default_rng(0).lognormal(0, 0.1, 1000)
    found = latency.latency_histogram(samples.tolist())
    assert len(found.edges) == len(found.counts) + 1
    assert sum(found.counts) >= 990
    assert sum(latency.latency_histogram([2.0] * 10).counts) == 10


def interval_of(ratio: latency.Ratio) -> tuple[float, float]:
    """The ends of the interval, which must be known."""
    return present(ratio.low), present(ratio.high)


def width(ratio: latency.Ratio) -> float:
    low, high = interval_of(ratio)
    return high - low


LAYOUT = 0.01  # how far processes of one file lie apart, as a share of its latency


def timed(rng, factor, pairs, blocks=6, layout=LAYOUT):
    """Pairs of processes: each process has its layout, each moment its weather, each query its noise."""

    def one(centre, weather):
        own = centre * rng.lognormal(0, layout)
        return [list(own * moment * rng.lognormal(0, 0.05, 25)) for moment in weather]

    for _ in range(pairs):
        weather = rng.lognormal(0, 0.2, blocks)  # a slow moment is slow for both
        yield one(factor, weather), one(1.0, weather)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.2, 5), st.integers(5, 12))
def test_ratio_finds_the_factor_through_shared_drift(seed, factor, pairs):
    found = latency.block_ratio(list(timed(np.random.default_rng(seed), factor, pairs)))
    low, high = interval_of(found)
    assert low <= present(found.value) <= high
    assert found.value == pytest.approx(factor, rel=0.05)
    assert (found.pairs, found.blocks) == (pairs, 6 * pairs)


LAYOUTS = {
    "a bell": lambda rng, size: rng.normal(0, 1, size),
    "two kinds": lambda rng, size: rng.choice([-1, 1], size) + rng.normal(0, 0.3, size),
    "one in ten disturbed": lambda rng, size: rng.normal(0, 1, size) * np.where(rng.random(size) < 0.1, 20, 1),
    "heavy tails": lambda rng, size: rng.standard_t(3, size),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_intervals_hold_as_often_as_they_say(name):
    """95 of 100 whatever the processes' distances, 93 where they are of two kinds only: 8 pairs each, 4,000 times."""
    rng = np.random.default_rng(3)
    found = [latency.trimmed_mean(list(values)) for values in LAYOUTS[name](rng, (4000, 8))]
    least = 0.925 if name == "two kinds" else 0.945
    assert sum(abs(centre) <= half for centre, half in found) / len(found) > least


def test_ratio_of_a_file_to_its_copy_holds_one_as_often_as_it_says():
    rng = np.random.default_rng(3)
    found = [latency.block_ratio(list(timed(rng, 1.0, 8))) for _ in range(400)]
    assert 0.94 <= sum(low <= 1 <= high for low, high in map(interval_of, found)) / len(found) <= 0.99
    assert np.median([width(item) for item in found]) < 2 * 2.5 * LAYOUT


@given(st.lists(st.floats(-1, 1), min_size=8, max_size=20))
def test_trimmed_mean_is_that_of_scipy(values):
    from scipy.stats import mstats

    cut = len(values) // latency.TRIMMED_OF / len(values)
    low, high = mstats.trimmed_mean_ci(np.array(values), (cut, cut), alpha=2 * (1 - latency.QUANTILE))
    centre, half = latency.trimmed_mean(values)
    assert (centre - half, centre + half) == pytest.approx((low, high), abs=1e-9)


def test_one_disturbed_pair_changes_little():
    pairs = list(timed(np.random.default_rng(4), 1.0, 8))
    calm = latency.block_ratio(pairs)
    pairs[2] = ([[3 * sample for sample in block] for block in pairs[2][0]], pairs[2][1])
    disturbed = latency.block_ratio(pairs)
    assert disturbed.value == pytest.approx(calm.value, rel=0.01)
    assert width(disturbed) < 3 * width(calm)


def test_more_blocks_of_the_same_processes_do_not_make_it_surer():
    """What fooled the interval once: blocks of one pair of processes share their memory layout."""
    widths = [
        np.median([width(latency.block_ratio(list(timed(rng, 1.0, 8, blocks)))) for _ in range(60)])
        for rng, blocks in ((np.random.default_rng(5), 6), (np.random.default_rng(6), 60))
    ]
    assert widths[1] > 0.7 * widths[0]


def test_one_disturbed_block_changes_little():
    pairs = list(timed(np.random.default_rng(4), 1.0, 8))
    calm = latency.block_ratio(pairs)
    pairs[2][0][3] = [20 * sample for sample in pairs[2][0][3]]
    disturbed = latency.block_ratio(pairs)
    assert disturbed.value == pytest.approx(calm.value, rel=0.01)
    low, high = interval_of(disturbed)
    assert low <= 1 <= high


def test_a_coarse_clock_leaves_its_tick_unknown():
    """Every query takes one tick of 0.1 ms or two: the medians are all the same, which does not make them exact."""
    pairs = [([[0.2, 0.2, 0.3]] * 3, [[0.2, 0.2, 0.3]] * 3) for _ in range(8)]
    found = latency.block_ratio(pairs)
    assert found.value == pytest.approx(1)
    assert width(found) > 0.4


def test_queries_that_the_clock_cannot_see_have_no_ratio():
    found = latency.block_ratio([([[0.0, 0.0, 0.1]], [[0.1, 0.1]])] * 8)
    assert found.value is None
    assert "clock" in found.reason


def test_a_process_does_not_stay_where_the_other_cannot_start():
    closed = []

    class Session:
        def __enter__(self):
            return self

        def __exit__(self, *exc):
            closed.append(True)

    def fail():
        raise ProcessError("does not load")

    starts: list[tuple[Any, Any]] = [(fail, Session), (Session, fail)]
    for ours, theirs in starts:
        with pytest.raises(ProcessError, match="does not load"):
            latency_ratio.compare_latency(ours, theirs, 1.0)
    assert len(closed) == 2


def test_ratio_needs_pairs_and_queries():
    found = latency.block_ratio([([[1.0]], [[1.0]])] * 4)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert "4 pairs" in found.reason
    assert latency.block_ratio([([[1.0]], [[1.0]])] * 4 + [([[1.0]], [[]])]).value is None


def test_unknown_profile_lists_the_known_ones():
    assert latency.find_profile("rapid").queries == 64
    with pytest.raises(InputError, match="full, normal, quick, rapid"):
        latency.find_profile("fast")
