"""The server model beside the best answer that is the same whatever the input."""

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy
from edgeship.benchmarks.compare.constant_answers import compare_with_constants
from edgeship.types import Verdict
from scripts.maintain.constant_answers import GUESS, TASKS, simulate

N = 600


def compare(labels, outputs, metric):
    return compare_with_constants({"y": labels}, {"out": outputs}, {"out": metric}).get("out")


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize(("metric", "constant"), [("top1", 0.5), ("macro_f1", 2 * 0.5 / 1.5 / 3), ("top5", 1.0)])
def test_classes_are_answered_by_their_frequencies(metric, constant, logits):
    labels = np.repeat([0, 1, 2], [N // 4, N // 2, N // 4])
    scores = np.eye(3)[labels]
    found = compare(labels, 9 * scores - 3 if logits else scores, metric)
    assert (found.answer, found.label, found.n) == ("class 1", 1, N)
    assert found.value == pytest.approx(constant)
    assert found.server == 1
    assert found.gain == pytest.approx(1 - constant)
    assert found.low <= found.gain <= found.high
    assert compare(scores, scores, metric) == compare(labels, scores, metric), "one-hot labels"


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("rare", ["yes", "no"])
def test_decisions_are_answered_by_the_more_frequent_one(rare, logits):
    labels = (np.arange(N) % 10 == 0) == (rare == "yes")
    scores = np.where(labels, 0.9, 0.2)[:, None]
    found = compare(labels.astype(int), np.log(scores / (1 - scores)) if logits else scores, "binary_accuracy")
    assert found.answer == {"yes": "no", "no": "yes"}[rare]
    assert (found.value, found.server) == pytest.approx((0.9, 1))


@pytest.mark.parametrize(("metric", "statistic"), [("mae", np.median), ("rmse", np.mean)])
def test_values_are_answered_by_median_or_mean_of_each_place(rng, metric, statistic):
    labels = rng.exponential(size=(N, 2)) * [1, 100]
    found = compare(labels, labels + 0.01, metric)
    error = labels - statistic(labels, axis=0)
    expected = np.abs(error).mean() if metric == "mae" else np.sqrt((error**2).mean())
    assert found.value == pytest.approx(expected)
    assert found.server == pytest.approx(0.01)
    assert found.gain == pytest.approx(expected - 0.01)


def test_each_place_of_an_output_has_its_own_answer_and_padding_counts_nowhere(rng):
    """Labels of steps: even ones are nearly always 0, odd ones 2."""
    labels = np.tile([0, 2], (N, 3))
    labels[rng.random(labels.shape) < 0.1] = 1
    labels[:, 4:][rng.random((N, 2)) < 0.5] = -1
    found = compare(labels, np.eye(3)[np.maximum(labels, 0)], "top1")
    assert found.value == pytest.approx(0.9, abs=0.02)
    assert found.server == 1
    assert found.label is None


def test_outputs_that_are_ids(rng):
    labels = rng.choice([3, 7, 9], N, p=[0.2, 0.7, 0.1]).astype(np.int64)
    assert compare(labels, labels.copy(), "exact_match").value == pytest.approx((labels == 7).mean())


def test_a_score_for_all_is_what_rankings_are_compared_with(rng):
    labels = (rng.random(N) < 0.2).astype(int)
    scores = rng.normal(size=(N, 1)) + 3 * labels[:, None]
    for metric, value in (("roc_auc", 0.5), ("average_precision", labels.mean()), ("weighted_roc_auc", 0.5)):
        assert compare(labels, scores, metric).value == pytest.approx(value)


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("metric", ["top1", "f1", "average_precision", "macro_roc_auc", "log_loss"])
def test_the_server_model_has_the_figure_that_is_told_elsewhere(rng, metric, logits):
    labels = (rng.random(N) < 0.2).astype(int)
    scores = rng.normal(size=(N, 2))
    scores[np.arange(N), labels] += 2
    if not logits:
        scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert compare(labels, scores, metric).server == pytest.approx(
        accuracy.compare(labels, scores, scores, metric).server
    )


def test_what_has_no_such_answer_is_left_out(rng):
    labels = rng.integers(0, 2, N)
    for metric in ("map", "wer", "ndcg@10", "my.module:score", "recall"):
        assert compare(labels, labels.astype(float), metric) is None


def test_outputs_that_are_no_numbers_give_no_comparison():
    assert compare(np.arange(9) % 3, np.full((9, 3), np.nan), "top1") is None


@pytest.mark.parametrize("task", TASKS)
def test_error_rates(task):
    """The bars of the page, in few trials: nobody passes who learned nothing, and nobody fails who did."""
    for n in (100, 1000):
        for skill in (0.0, GUESS):
            verdicts = simulate(task, n, skill, 20)
            assert verdicts[Verdict.PASS] <= 1, (n, skill)
            assert verdicts[Verdict.FAIL] >= (14 if n == 1000 else 0), (n, skill)
        verdicts = simulate(task, n, 0.3, 20)
        assert not verdicts[Verdict.FAIL]
        assert verdicts[Verdict.PASS] >= (19 if n == 1000 else 0), n
