"""What is said of two versions holds: by simulation, of made-up models whose difference is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgeship.benchmarks.compare import accuracy
from edgeship.model_registry import paired
from edgeship.model_registry.luck import correct

N = 400


def scores_of(right, truth, rng):
    """Probabilities (n, 3) of answers that are right where `right` says so."""
    answers = np.where(right, truth, (truth + 1 + rng.integers(0, 2, len(truth))) % 3)
    return np.eye(3, dtype=np.float32)[answers] * 0.8 + 0.2 / 3


def draw_pair(rng, gain, n=N):
    """Labels and two models' scores: both are right more often on easy samples, the second by `gain` more often."""
    truth, easy = rng.integers(0, 3, n), rng.random(n)
    rights = [rng.random(n) < 0.6 + 0.3 * easy + more for more in (0.0, gain)]
    return truth, [scores_of(right, truth, rng) for right in rights]


def compare(truth, scores, metric, *, p_values=False):
    nothing = paired.PairedFigure("one", "two", metric=metric)
    return paired._compare_output(nothing, truth, (scores[0], scores[1]), p_values=p_values)


@pytest.mark.parametrize("gain", [0.0, 0.05])
def test_the_paired_interval_holds_the_truth(gain):
    rng = np.random.default_rng(1)
    pairs = [draw_pair(rng, gain) for _ in range(100)]
    rows = [compare(truth, scores, "top1") for truth, scores in pairs]
    assert sum(row.low <= gain <= row.high for row in rows) >= 93
    assert np.mean([row.gain for row in rows]) == pytest.approx(gain, abs=0.01)


@pytest.mark.more
@pytest.mark.parametrize("metric", ["top1", "macro_f1", "mae"])
def test_the_paired_interval_holds_the_truth_of_any_metric(metric):
    rng, held, pairs = np.random.default_rng(2), 0, 300
    truth_of_gain = 0.05
    for _ in range(pairs):
        if metric == "mae":
            truth, errors = rng.normal(size=(N, 1)), np.abs(rng.normal(size=(2, N, 1)))
            scores = [truth + errors[0], truth + errors[1] * 0.9]
            truth_of_gain = 0.1 * np.sqrt(2 / np.pi)
        else:
            truth, scores = draw_pair(rng, 0.05)
        row = compare(truth, [item.astype(np.float32) for item in scores], metric)
        held += row.low <= truth_of_gain <= row.high
    assert held / pairs >= 0.93


def test_swaps_agree_with_the_exact_test_where_there_is_one(monkeypatch):
    rng = np.random.default_rng(3)
    truth, scores = draw_pair(rng, 0.06)
    figures = accuracy.compare(truth, scores[0], scores[1], "top1")
    right = [item.argmax(axis=1) == truth for item in scores]
    gains, losses = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    exact = paired.chance_of_gain(figures, truth, tuple(scores))
    assert exact == pytest.approx(stats.binomtest(gains, gains + losses, 0.5, alternative="greater").pvalue)
    f1 = accuracy.compare(truth, scores[0], scores[1], "macro_f1")
    by_swaps = paired.chance_of_gain(f1, truth, tuple(scores))
    assert by_swaps == pytest.approx(exact, abs=0.02)


@pytest.mark.more
@pytest.mark.parametrize("metric", ["top1", "macro_f1"])
def test_the_best_of_many_equal_candidates_is_seldom_taken_for_better(metric, monkeypatch):
    """The champion and ten candidates are equally good: the best one's corrected p is below 5 % in at most 5 % of all cases."""
    monkeypatch.setattr(paired, "SWAPS", 1000)
    rng, candidates, registries, wrong = np.random.default_rng(4), 10, 400 if metric == "top1" else 100, 0
    naive = 0
    for _ in range(registries):
        truth, easy = rng.integers(0, 3, N), rng.random(N)
        models = [scores_of(rng.random(N) < 0.6 + 0.3 * easy, truth, rng) for _ in range(candidates + 1)]
        rows = [compare(truth, (models[0], model), metric) for model in models[1:]]
        best = max(range(candidates), key=lambda number: rows[number].gain)
        p = compare(truth, (models[0], models[best + 1]), metric, p_values=True).p
        wrong += correct(p, candidates) < 0.05
        naive += p < 0.05
    assert stats.binomtest(wrong, registries, 0.05, alternative="greater").pvalue > 0.001
    assert naive / registries > 0.1  # what the correction is for


def test_logits_and_probabilities_are_compared_in_one_scale():
    rng = np.random.default_rng(5)
    truth, (one, _) = draw_pair(rng, 0.0)
    row = compare(truth, (one, np.log(one)), "log_loss")
    assert row.gain == pytest.approx(0, abs=1e-5) and row.flips_total == 0
    labels, yes = rng.integers(0, 2, (N, 1)), rng.random((N, 1)).astype(np.float32)
    row = compare(labels, (yes, np.log(yes / (1 - yes))), "binary_accuracy")
    assert row.gain == 0


def test_a_function_of_the_users_own_is_not_run():
    rng = np.random.default_rng(6)
    truth, scores = draw_pair(rng, 0.0)
    assert "does not run" in compare(truth, scores, "os:system").reason
