"""The membership inference attack: AUCs that are known, and intervals that hold them as often as they say."""

import numpy as np
import pytest
from scipy.stats import norm

from edgeship.serving.worth import membership


def test_the_auc_is_the_share_of_pairs():
    assert membership.smaller_share(np.array([1.0, 2.0]), np.array([3.0, 2.0])) == (1 + 1 + 1 + 0.5) / 4


@pytest.mark.parametrize("auc", [0.5, 0.6, 0.8, 0.99])
@pytest.mark.parametrize(("m", "n"), [(40, 40), (400, 100)])
def test_intervals_hold_the_truth_95_of_100_times(auc, m, n):
    """By simulation, 2,000 draws of bell curves as far apart as the AUC says: 92 to 99 % (all of (0, 1) apart)."""
    random, distance, held = np.random.default_rng(7), 2**0.5 * norm.ppf(auc), 0
    for _ in range(2000):
        seen = membership.smaller_share(random.normal(0, 1, m), random.normal(distance, 1, n))
        low, high = membership.auc_interval(seen, m, n)
        held += low <= auc <= high
    assert 0.92 <= held / 2000 <= 0.995


def test_samples_that_the_model_knows_by_heart_are_found():
    risk = membership.attack_by_loss("tflite/int8", "train.npz", np.zeros(50), np.linspace(1, 2, 60))
    assert risk.auc == 1
    assert risk.low is not None
    assert 0.9 < risk.low < 1
    assert risk.high == 1


def test_no_difference_gives_nothing_away():
    random = np.random.default_rng(1)
    risk = membership.attack_by_loss("x", "train.npz", random.random(1000), random.random(1000))
    assert risk.low is not None
    assert risk.high is not None
    assert risk.low < 0.5 < risk.high


def test_of_few_samples_nothing_is_told():
    risk = membership.attack_by_loss("x", "train.npz", np.zeros(3), np.zeros(60))
    assert risk.auc is None
    assert "3 and 60 samples are too few" in risk.reason


@pytest.mark.parametrize(
    ("outputs", "labels", "expected"),
    [
        ([[0.5, 0.5], [0.25, 0.75]], [0, 1], [-np.log(0.5), -np.log(0.75)]),
        ([[3.0, 3.0], [2.0, 2.0]], [0, 1], [np.log(2)] * 2),  # logits
        ([[0.25], [0.75]], [0, 1], [-np.log(0.75)] * 2),
        ([0.25, 0.75], [0, 1], [-np.log(0.75)] * 2),
        ([[0.5, 0.5], [0.25, 0.75]], [[1, 0], [0, 1]], [-np.log(0.5), -np.log(0.75)]),  # one-hot
        ([[1.5], [2.0]], [[1.0], [4.5]], [0.25, 6.25]),
    ],
)
def test_losses_by_hand(outputs, labels, expected):
    found = membership.losses(np.array(outputs), np.array(labels))
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_labels_that_fit_no_output_give_no_loss():
    assert membership.losses(np.zeros((4, 3)), np.array([0, 1, 2, 3])) is None
    assert membership.losses(np.zeros((4, 3)), np.zeros((4, 2))) is None
    assert membership.losses(np.zeros((4, 3)), np.array(["a"] * 4)) is None
