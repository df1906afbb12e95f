import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from edgeship.benchmarks import latency
from edgeship.errors import InputError


# MLPerf inference's early stopping, c = 0.99 and d = 0 (measuring conventions of LoadGen).
def test_least_queries_for_an_estimate():
    assert latency.early_stopping_rank(63, 0.9) is None
    assert latency.early_stopping_rank(64, 0.9) == 1
    assert latency.early_stopping_rank(661, 0.99) is None
    assert latency.early_stopping_rank(662, 0.99) == 1


def test_of_1024_queries_the_79_slowest_are_dropped():
    samples = np.random.default_rng(0).permutation(1024).astype(float)
    assert (samples > latency.early_stopping_estimate(samples, 0.9)).sum() == 79


@settings(deadline=None)
@given(st.integers(1, 3000), st.sampled_from([0.5, 0.9, 0.97, 0.99]))
def test_rank_is_the_largest_that_the_binomial_allows(n, percentile):
    counts = np.arange(1, n + 1)
    allowed = counts[binom.cdf(counts, n, 1 - percentile) <= 0.01]
    assert latency.early_stopping_rank(n, percentile) == (allowed[-1] if len(allowed) else None)


def test_estimate_is_never_below_the_sample_percentile():
    samples = np.random.default_rng(1).lognormal(0, 0.5, 500)
    assert latency.early_stopping_estimate(samples) > np.percentile(samples, 90)


@pytest.mark.slow
def test_estimate_bounds_the_true_percentile_99_times_in_100():
    rng = np.random.default_rng(2)
    estimates = np.array([latency.early_stopping_estimate(rng.random(200)) for _ in range(3000)])
    assert (estimates < 0.9).mean() <= 0.015


def test_estimate_agrees_with_loadgen_on_its_own_rank():
    # LoadGen sorts and takes element n - t: the t-th slowest.
    samples = [float(value) for value in range(64)]
    assert latency.early_stopping_estimate(samples) == 63.0


def test_summary_of_known_values():
    summary = latency.summarize([float(value) for value in range(1, 102)])
    assert (summary["n"], summary["min_ms"], summary["p50_ms"], summary["mean_ms"]) == (101, 1.0, 51.0, 51.0)
    assert summary["p90_ms"] == pytest.approx(91.0)
    assert latency.summarize([1.0] * 63)["p90_early_stopping_ms"] is None


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")]])
def test_no_summary_of_nothing(samples):
    with pytest.raises(ValueError, match="no latencies"):
        latency.summarize(samples)


def test_histogram_counts_all_but_the_slow_tail():
    samples = np.random.default_rng(0).lognormal(0, 0.1, 1000)
    found = latency.histogram(samples)
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert sum(found["counts"]) >= 990
    assert sum(latency.histogram([2.0] * 10)["counts"]) == 10


@st.composite
def runs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    factor = draw(st.floats(0.2, 5))
    blocks = draw(st.integers(5, 30))
    drift = rng.lognormal(0, 0.2, blocks)  # a slow moment is slow for both
    theirs = [list(weather * rng.lognormal(0, 0.05, 40)) for weather in drift]
    ours = [list(factor * weather * rng.lognormal(0, 0.05, 60)) for weather in drift]
    return factor, ours, theirs


@settings(deadline=None, max_examples=30)
@given(runs())
def test_ratio_finds_the_factor_through_shared_drift(run):
    factor, ours, theirs = run
    found = latency.ratio(ours, theirs)
    assert found["low"] <= found["value"] <= found["high"]
    assert found["value"] == pytest.approx(factor, rel=0.12)


def test_ratio_of_a_model_to_itself_holds_one():
    rng = np.random.default_rng(3)
    blocks = [list(rng.lognormal(0, 0.1, 50)) for _ in range(40)]
    found = latency.ratio(blocks[:20], blocks[20:])
    assert found["low"] < 1 < found["high"]


def test_ratio_needs_blocks():
    found = latency.ratio([[1.0]] * 4, [[1.0]] * 9)
    assert found["value"] is None
    assert "4 blocks" in found["reason"]
    assert latency.ratio([[1.0]] * 5, [[1.0]] * 4 + [[]])["value"] is None


def test_unknown_profile_lists_the_known_ones():
    assert latency.profile("rapid").queries == 64
    with pytest.raises(InputError, match="full, normal, quick, rapid"):
        latency.profile("fast")
