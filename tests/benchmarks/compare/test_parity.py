import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeship.benchmarks.compare import parity
from edgeship.errors import CheckError
from tests.present import present

FLOATS = st.floats(-1e3, 1e3, width=32)
ARRAYS = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=4, max_side=6), elements=FLOATS)


@given(ARRAYS)
def test_the_same_is_the_same(array):
    comparison = parity.compare_output("y", array, array.copy())
    assert comparison.max_abs_error == comparison.mean_abs_error == 0
    assert (comparison.cosine, comparison.sqnr_db) == (1.0, parity.SQNR_LIMIT)
    assert comparison.agreement in (1.0, None)
    assert comparison.reason == ""


@given(ARRAYS.flatmap(lambda a: st.tuples(st.just(a), hnp.arrays(np.float32, a.shape, elements=FLOATS))))
def test_figures_stay_in_range(pair):
    comparison = parity.compare_output("y", *pair)
    assert 0 <= present(comparison.mean_abs_error) <= present(comparison.max_abs_error) <= 2001
    assert -1 <= present(comparison.cosine) <= 1
    assert -parity.SQNR_LIMIT <= present(comparison.sqnr_db) <= parity.SQNR_LIMIT


def test_known_noise():
    server = np.full((10, 4), 10.0)
    comparison = parity.compare_output("y", server, server + 0.1)
    assert comparison.sqnr_db == pytest.approx(40.0)
    assert comparison.max_abs_error == pytest.approx(0.1)
    assert (comparison.server_span, parity.compare_output("y", server * [1, 2, 3, -4], server).server_span) == (0, 70)


def test_what_always_the_mean_of_the_server_model_has():
    kelvin = np.random.default_rng(0).normal([290, 290], 10, (500, 2))
    mean = parity.compare_output("y", kelvin, np.broadcast_to(kelvin.mean(axis=0), kelvin.shape))
    assert mean.constant_sqnr_db == pytest.approx(mean.sqnr_db)
    assert 29 < present(mean.constant_sqnr_db) < 30
    same = np.broadcast_to(np.array([0.1, 7.3], np.float32), (500, 2))
    assert parity.compare_output("y", same, same).constant_sqnr_db is None


def test_class_scores_agree_by_argmax():
    server = np.eye(4)
    artifact = server.copy()
    artifact[0] = server[1]
    comparison = parity.compare_output("y", server, artifact)
    assert (comparison.agreement, comparison.agreement_n) == (0.75, 4)
    assert present(comparison.agreement_low) < 0.75 < present(comparison.agreement_high)


def test_sequences_and_integers_and_probabilities_agree_too():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(5, 7, 3))
    assert parity.compare_output("y", scores, scores[..., ::-1]).agreement_n == 35
    whole = parity.compare_output("y", np.array([1, 2, 3]), np.array([1, 2, 4]))
    assert whole.agreement == pytest.approx(2 / 3)
    shares = parity.compare_output("y", np.array([[0.2], [0.9]]), np.array([[0.6], [0.8]]))
    assert shares.agreement == 0.5


def test_tags_of_which_several_may_hold_are_answers_each():
    """The largest of them staying the same says nothing about the others."""
    tags = np.array([[0.9, 0.8, 0.7], [0.9, 0.1, 0.2]])
    comparison = parity.compare_output("y", tags, tags * [1, 0.5, 0.5])
    assert comparison.agreement == pytest.approx(4 / 6)
    assert comparison.agreement_n == 6


def test_a_regression_has_no_agreement():
    comparison = parity.compare_output("y", np.array([[10.0], [-3.0]]), np.array([[10.1], [-3.0]]))
    assert comparison.agreement is None
    assert comparison.reason == ""


def test_zeros():
    zeros, ones = np.zeros((3, 2)), np.ones((3, 2))
    assert parity.compare_output("y", zeros, ones).sqnr_db == -parity.SQNR_LIMIT
    dead = parity.compare_output("y", ones, zeros)
    assert (dead.sqnr_db, dead.cosine) == (0.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_gives_no_figure(bad):
    artifact = np.ones((3, 2), np.float32)
    artifact[1, 1] = bad
    comparison = parity.compare_output("y", np.ones((3, 2), np.float32), artifact)
    assert comparison.max_abs_error is comparison.agreement is comparison.sqnr_db is None
    assert comparison.reason == "1 of 6 values of the artifact are NaN or infinite"
    assert parity.worst_figures({"y": comparison})["agreement"] is None
    other = parity.compare_output("y", artifact, np.ones((3, 2), np.float32))
    assert "server model" in other.reason


def test_no_samples_is_no_parity():
    assert parity.compare_output("y", np.ones((0, 2)), np.ones((0, 2))).reason == "no samples"


def test_shapes_and_names_must_match():
    with pytest.raises(CheckError, match="shape"):
        parity.compare_output("y", np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(CheckError, match=r"\(b\) are not the server model's \(a\)"):
        parity.compare({"a": np.ones(2)}, {"b": np.ones(2)})


def test_the_worst_of_several_outputs():
    a = parity.compare_output("a", np.eye(3), np.eye(3))
    b = parity.compare_output("b", np.eye(3) * 5 - 9, np.eye(3)[::-1] * 5 - 9)
    worst = parity.worst_figures({"a": a, "b": b})
    assert worst["max_abs_error"] == 5
    assert worst["agreement"] == pytest.approx(1 / 3)
    assert worst["sqnr_db"] == b.sqnr_db


def test_the_share_of_margins_that_the_error_reaches():
    """Errors of the difference between the two best classes: 0.1 each way, beside margins of 0.05, 0.2, 0.1 and 0."""
    server = np.array([[0.50, 0.45, 0.05], [0.55, 0.35, 0.1], [0.5, 0.4, 0.1], [0.5, 0.5, 0.0]])
    change = np.array([[0.05, -0.05, 0], [-0.05, 0.05, 0], [0.05, -0.05, 0], [0, 0, 0]])
    found = parity.compare_output("scores", server, server + change)
    assert found.margins_reached == pytest.approx(2 / 4), "the third is reached, though it does not turn; a tie is none"
    same = parity.compare_output("scores", server, server)
    assert (same.margins_reached, same.margins_reached_low) == (0, 0)


def test_rare_answers_count_by_their_own_number():
    server = np.full((200, 50), 0.01)
    server[:, 0] = 0.6
    artifact = server.copy()
    artifact[:50, 0] -= 0.2
    found = parity.compare_output("tags", server, artifact)
    assert found.margins_reached == pytest.approx(50 / 208), "of 200 that are yes, not of 10,000"
    assert found.agreement == pytest.approx(1 - 50 / 10_000)


def test_numbers_that_are_no_answers_have_no_margins():
    values = np.linspace(-3, 3, 40).reshape(40, 1)
    assert parity.compare_output("value", values, values + 0.1).margins_reached is None
    ids = np.arange(40).reshape(40, 1)
    assert parity.compare_output("ids", ids, ids).margins_reached is None


def test_where_yes_and_no_are_as_frequent_all_answers_count():
    server = np.tile([0.4, 0.6], 100).reshape(200, 1)
    found = parity.compare_output("yes", server, np.where(np.arange(200)[:, None] < 30, 1 - server, server))
    assert found.margins_reached == pytest.approx(30 / 200)
