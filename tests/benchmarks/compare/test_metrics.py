import numpy as np
import pytest

from edgeship.benchmarks.compare.metrics import METRICS, choose_metric
from edgeship.errors import InputError

RNG = np.random.default_rng(0)
SCORES = RNG.random((6, 3))
NUMBERS = np.array([0, 1, 2, 0, 1, 2])


def figure(labels, outputs, metric=None):
    task, truth, answers = choose_metric(labels, outputs, metric)
    return float(task.statistic(truth, answers, logits=False)(np.ones((1, len(truth))))[0])


@pytest.mark.parametrize(
    ("labels", "outputs", "name"),
    [
        (NUMBERS, SCORES, "top1"),
        (NUMBERS.astype(np.uint8)[:, None], SCORES, "top1"),
        (NUMBERS.astype(np.float32), SCORES, "top1"),
        (np.eye(3)[NUMBERS], SCORES, "top1"),
        (np.eye(3, dtype=np.int64)[NUMBERS], SCORES, "top1"),
        (RNG.integers(3, size=(6, 5)), RNG.random((6, 5, 3)), "top1"),
        (RNG.integers(3, size=(6, 4, 4)), RNG.random((6, 4, 4, 3)), "top1"),
        (np.array([0, 1, 1]), RNG.random((3, 1)), "binary_accuracy"),
        (np.array([0, 1, 1]), RNG.random(3), "binary_accuracy"),
        (np.array([True, False, True]), RNG.normal(size=(3, 1)), "binary_accuracy"),
        (np.array([0.0, 1.0, 1.0], np.float32), RNG.random((3, 1)), "binary_accuracy"),
        (np.array([[0, 1, 1], [1, 1, 0]]), RNG.random((2, 3)), "binary_accuracy"),
        (np.array([3, 7, 1]), np.array([3, 6, 1]), "exact_match"),
        (np.array([[3], [7]], np.float32), np.array([3, 6], np.int32), "exact_match"),
        (np.array([0, 1, 1]), np.array([0, 1, 0]), "binary_accuracy"),
        (np.array([3, 7, 1]), np.array([3, 6, 1], np.uint8), "mae"),
        (np.array([0.3, 1.2, 5.0]), RNG.random((3, 1)), "mae"),
        (np.array([3, 20, 51]), RNG.random((3, 1)), "mae"),
        (RNG.random((4, 8, 8, 1)), RNG.random((4, 8, 8, 1)), "mae"),
    ],
)
def test_the_default_fits_the_labels(labels, outputs, name):
    assert choose_metric(labels, outputs)[0].name == name


@pytest.mark.parametrize(
    ("labels", "outputs", "metric", "message"),
    [
        (np.array([0, 1, 3]), RNG.random((3, 3)), None, "tells 3 classes apart"),
        (np.array([0, -1, 2]), RNG.random((3, 3)), None, "run from -1 to 2"),
        (np.array([0, 1]), RNG.random((3, 3)), None, "2 labels for 3 outputs"),
        (np.array([0.5, 1.5, 2.0]), RNG.random((3, 3)), None, "do not fit outputs"),
        (np.array(["a", "b", "c"]), RNG.random((3, 3)), None, "the labels are text: give class numbers"),
        (np.array([0.1, np.nan, 1.0]), RNG.random((3, 1)), None, "NaN"),
        (np.array([0.1, 0.3, 1.0]), RNG.random((3, 3)), "top1", "no class numbers"),
        (np.array([0, 1, 2]), RNG.random((3, 3)), "top2", "known: average_precision"),
        (np.full((3, 4), -1), RNG.random((3, 4, 2)), None, "every label is negative"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, outputs, metric, message):
    with pytest.raises(InputError, match=message):
        choose_metric(labels, outputs, metric)


def test_top1_and_top5_of_known_answers():
    outputs = np.eye(8)[[0, 1, 2, 3]] + np.linspace(0, 0.1, 8)
    assert figure(np.array([0, 1, 2, 7]), outputs) == 0.75
    assert figure(np.array([0, 1, 2, 7]), outputs, "top5") == 1.0
    assert figure(np.array([0, 1, 2, 0]), outputs, "top5") == 0.75


def test_padding_counts_nowhere():
    outputs = np.eye(3)[np.array([[0, 1], [2, 2]])]
    assert figure(np.array([[0, -1], [2, 1]]), outputs) == pytest.approx(2 / 3)


def test_macro_f1_is_the_mean_of_the_classes():
    truth, answers = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 2])
    expected = np.mean([2 * 2 / (3 + 3), 2 * 1 / (2 + 2), 1.0])
    assert figure(truth, np.eye(3)[answers], "macro_f1") == pytest.approx(expected)


def test_macro_f1_leaves_out_classes_that_never_occur():
    assert figure(np.array([0, 1]), np.eye(5)[[0, 1]], "macro_f1") == 1.0


def test_errors():
    labels, outputs = np.array([1.0, 2.0, 4.0]), np.array([[1.0], [4.0], [3.0]])
    assert figure(labels, outputs) == pytest.approx(1.0)
    assert figure(labels, outputs, "rmse") == pytest.approx(np.sqrt(5 / 3))
    assert not METRICS["mae"].higher_is_better
