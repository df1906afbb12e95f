from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from edgeship.train.own_data.expectations import HeldOut, Results, describe_results
from edgeship.train.own_data.repeats import add_repetitions, collect_figures, compare_folds, estimate_mean
from edgeship.train.own_data.samples import Target
from edgeship.typed_json import convert
from edgeship.types import drop_missing, to_json

TARGET = Target("animal", ("ant", "bee"))


def test_without_what_is_shared_it_is_students_test() -> None:
    """The correction alone is ours: with no training sample at all (n_test / n_train = 0) scipy gives the same."""
    random = np.random.default_rng(1)
    mine, other = random.normal(0.1, 0.02, 30), random.normal(0.11, 0.02, 30)
    found = ttest_1samp(mine - other, 0)
    assert compare_folds(mine, other, 0, 100)[1] == pytest.approx(found.pvalue)
    interval = ttest_1samp(mine, 0).confidence_interval(0.95)
    assert estimate_mean(mine, 0, 100) == pytest.approx((mine.mean(), interval.low, interval.high))


def test_intervals_allow_for_shared_samples() -> None:
    """Of 10 times 10 folds the variance is (1 / 100 + 1 / 9) of that of the folds, 12 times that of independent ones."""
    figures = np.random.default_rng(2).normal(0.9, 0.03, 100)
    mean, low, high = estimate_mean(figures, 10, 90)
    naive = 1.9842169 * figures.std(ddof=1) / 10  # Student's t of 99 degrees of freedom
    assert (high - mean) / naive == pytest.approx((1 + 100 / 9) ** 0.5, rel=1e-6)
    assert mean - low == pytest.approx(high - mean)


def test_equal_learners_are_seldom_called_different() -> None:
    """Two learners that see one of two equal features each, on tables of 60 rows in 5 times 5 folds: 300 draws.

    The naive test calls more than every fifth pair different; the corrected one is a test of 5 % (three deviations: 8.8 %).
    """
    random = np.random.default_rng(3)
    wrong, naive = 0, 0
    for _ in range(300):
        truth = np.arange(60) % 2
        features = random.normal(truth[:, None] * 0.8, 1, (60, 2))
        errors = []
        for _repeat in range(5):
            for fold in np.array_split(random.permutation(60), 5):
                rest = np.setdiff1d(np.arange(60), fold)
                ends = [features[rest][truth[rest] == label].mean(axis=0) for label in (0, 1)]
                answers = np.abs(features[fold] - ends[1]) < np.abs(features[fold] - ends[0])
                errors.append((answers != truth[fold, None]).mean(axis=0))
        mine, other = np.array(errors).T
        wrong += compare_folds(mine, other, 12, 48)[0] != "no different"
        naive += bool(ttest_1samp(mine - other, 0).pvalue < 0.05)
    assert naive > 60 and wrong <= 26, (naive, wrong)


@pytest.mark.parametrize("target", [TARGET, Target("price")])
def test_figures_and_verdicts_are_of_all_repetitions(target: Target) -> None:
    random = np.random.default_rng(4)
    folds = []
    for _ in range(6):  # 3 folds, twice
        truth = random.integers(0, 2, 50) if target.is_class else random.normal(size=50).astype(np.float32)
        good = np.where(random.random(50) < 0.95, truth, 1 - truth)
        scores = np.eye(2)[good.astype(int)] if target.is_class else truth + random.normal(size=50) / 10
        guess = np.tile([0.9, 0.1], (50, 1)) if target.is_class else np.zeros(50)
        folds.append(HeldOut(np.arange(50), truth, scores.astype(np.float32), {"constant": guess}))
    once = describe_results(target, folds[0], str, str, None)
    found = add_repetitions(once, target, collect_figures(target, folds, 150), 2)
    assert found.repeated is not None and (found.repeated.folds, found.repeated.repeats) == (6, 2)
    assert found.repeated.low < found.repeated.value < found.repeated.high
    assert found.baselines[0].network == "better" and found.worse_than == ()
    if target.is_class:
        hits = np.mean([(fold.scores.argmax(axis=1) == fold.truth).mean() for fold in folds])
        assert found.repeated.value == pytest.approx(hits)
        assert found.accuracy == once.accuracy
    assert convert(Results, drop_missing(to_json(found))) == found
