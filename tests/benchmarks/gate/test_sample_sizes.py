"""How many samples a margin takes: told beforehand and by the gate as one number, in the metric's own unit."""

import re

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, statistics
from edgeship.benchmarks.gate import sample_sizes
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.sample_sizes import ask_for_samples, note_thin_evaluation
from edgeship.settings.sections import MetricChoice
from scripts.maintain.evaluation_samples import pass_probability
from tests.present import present

RNG = np.random.default_rng(0)
LABELS = np.arange(500) % 10
SCORES = np.eye(10)[LABELS]
VALUES = RNG.normal(2000, 500, (400, 1))
PREDICTED = VALUES + RNG.normal(0, 50, VALUES.shape)
RARE = (np.arange(5000) % 100 == 0).astype(int)


def notes_of(labels, outputs, budget, metric=None, samples=None):
    choice = metric and MetricChoice(metric)
    return note_thin_evaluation(
        accuracy.measure({"y": labels}, {"out": outputs}, {"out": outputs}, choice), budget, samples or len(labels)
    )


@pytest.mark.parametrize("margin", [0.005, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("disagreement", [0.005, 0.01, 0.05])
def test_the_samples_for_a_margin_let_an_equal_artifact_pass_as_often_as_promised(margin, disagreement):
    needed = statistics.samples_for_margin(margin, disagreement)
    probabilities = [pass_probability(round(needed * part), disagreement, margin) for part in (0.6, 1.0)]
    assert probabilities[0] < statistics.POWER or disagreement * needed < 1, probabilities
    assert statistics.POWER - 0.05 <= probabilities[1] <= 0.97


@pytest.mark.parametrize(
    ("labels", "outputs", "budget", "told"),
    [
        (LABELS, SCORES, Budget(), "only 500 evaluation samples: a margin of 1.00 points of top1 takes about 1,"),
        (LABELS, SCORES, Budget(max_drop=0.5), "a margin of 0.50 points of top1 takes about 3,"),
        (LABELS, SCORES, Budget(accuracy="mlperf95"), ""),
        (LABELS, SCORES, Budget(accuracy="none", min_agreement=0.9), ""),
        (np.tile(LABELS, 4), np.tile(SCORES, (4, 1)), Budget(), ""),
        (VALUES, PREDICTED, Budget(), "only 400 evaluation samples: a margin of 0.4"),
        (VALUES, PREDICTED, Budget(max_drop=20.0), ""),
        (RARE, RARE * 0.9, Budget(), "only 5,000 evaluation samples: a margin of 1.00 points of f1 takes about "),
    ],
)
def test_data_that_is_too_little_for_the_margin_is_told(labels, outputs, budget, told):
    notes = notes_of(labels, outputs, budget)
    assert len(notes) == bool(told)
    assert all(told in note for note in notes)


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_what_is_told_beforehand_is_what_the_gate_asks_for_an_exact_copy(metric):
    """For mae 1,500 were told, whatever its figure, and the gate asked for 4,800."""
    (note,) = notes_of(VALUES, PREDICTED, Budget(), metric)
    copy = accuracy.compare(VALUES, PREDICTED, PREDICTED.copy(), metric)
    needed, asked = ask_for_samples(copy, 0.01 * abs(present(copy.server)))
    assert f"takes about {needed:,} even for what changes hardly an answer" in note
    assert f"about {needed:,} samples would decide, there are 400" in asked


@pytest.mark.parametrize("metric", ["mae", "f1"])
def test_the_samples_that_are_told_are_enough_for_a_copy(metric):
    labels, outputs = (VALUES, PREDICTED) if metric == "mae" else (RARE, RARE * 0.9)
    (note,) = notes_of(labels, outputs, Budget(), metric)
    told = int(present(re.search(r"about ([\d,]+)", note))[1].replace(",", ""))
    times = -(-told // len(labels)) + 1
    assert (
        notes_of(np.tile(labels, times).reshape(-1, 1), np.tile(outputs, times).reshape(-1, 1), Budget(), metric) == []
    )


def test_a_copy_of_values_needs_what_the_unseen_sample_takes():
    """800 grids of log loss 0.003 were told 640,000 samples for one percent of it: the rest of the interval goes as 1/n."""
    copy = accuracy.compare(VALUES, PREDICTED, PREDICTED.copy(), "mae")
    needed = present(sample_sizes.samples_to_decide(copy, present(copy.high) / 10))
    assert needed == pytest.approx(9 / 8 * 10 * len(VALUES), rel=0.01)


def _draw_rare(rng, n, noise) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (n,) with 2 % of yes, and two models that are as good as each other, which differ by `noise`."""
    labels = (rng.random(n) < 0.02).astype(np.int64)
    logits = 2 * rng.normal(size=n) + 7 * labels - 5
    server, artifact = (1 / (1 + np.exp(-logits - noise * rng.normal(size=n))) for _ in range(2))
    return labels, server, artifact


@pytest.mark.parametrize("n", [500, 2000])
def test_a_copy_of_few_yes_takes_what_passes_and_little_more(n):
    """Of f1 with 2 % of yes up to seven times as many were told as a copy needs: the spread held the unseen sample."""
    labels, server, _ = _draw_rare(np.random.default_rng(3), n, 0.0)
    margin = 0.05
    copy = accuracy.compare(labels, server, server.copy(), "f1")
    told = present(ask_for_samples(copy, margin)[0])
    for part, passes in ((1.2, True), (0.5, False)):
        again, outputs, _ = _draw_rare(np.random.default_rng(4), round(part * told), 0.0)
        assert (present(accuracy.compare(again, outputs, outputs.copy(), "f1").high) < margin) is passes


def test_changes_that_were_not_seen_are_expected_by_the_errors_of_scores():
    """Nothing changed in 1,000 samples of a copy and of an artifact that was lucky; only the latter will change some."""
    labels, server, artifact = _draw_rare(np.random.default_rng(35), 1000, 0.1)
    numbers = []
    for outputs in (server.copy(), artifact):
        found = accuracy.compare(labels, server, outputs, "f1")
        assert found.flips_total == 0
        numbers.append(present(sample_sizes.samples_to_decide(found, 0.03)))
    assert numbers[1] > 1.1 * numbers[0]


@pytest.mark.more
@pytest.mark.parametrize(("noise", "n"), [(0.1, 1000), (0.4, 2000)])
def test_the_samples_told_for_few_yes_pass_as_often_as_promised(noise, n):
    rng, told = np.random.default_rng(5), []
    for _ in range(15):
        found = accuracy.compare(*_draw_rare(rng, n, noise), "f1")
        if present(found.low) < 0.05 < present(found.high):
            told.append(present(sample_sizes.samples_to_decide(found, 0.05)))
    number = int(np.median(told))
    passed = [present(accuracy.compare(*_draw_rare(rng, number, noise), "f1").high) < 0.05 for _ in range(30)]
    few = [present(accuracy.compare(*_draw_rare(rng, number // 2, noise), "f1").high) < 0.05 for _ in range(30)]
    assert sum(passed) >= 30 * (statistics.POWER - 0.15)
    assert sum(few) < 30 * statistics.POWER  # so that it is not twice what is needed


def test_a_margin_that_no_data_decides_is_to_be_set_otherwise():
    """A percent of a log loss of 1e-4 took 1,700,000,000 samples."""
    labels = np.arange(300) % 2
    outputs = np.where(labels > 0, 1 - 1e-7, 1e-7)
    outputs[::10] = 0.5 + 0.499 * (2 * labels[::10] - 1)
    (note,) = notes_of(labels, outputs, Budget(), "log_loss")
    assert (
        "takes more than any sensible number: set max_drop in [budget] in place of accuracy, in the unit of log_loss"
        in note
    )
    copy = accuracy.compare(labels, outputs, outputs.copy(), "log_loss")
    needed, asked = ask_for_samples(copy, 0.01 * present(copy.server))
    assert needed is None
    assert "no sensible number of samples would decide: set max_drop" in asked
    above = float(present(re.search(r"above ([\d.e-]+)", asked))[1])
    assert above == pytest.approx(present(copy.high), rel=0.06)
    assert notes_of(labels, outputs, Budget(max_drop=1.0), "log_loss") == [] or above > 0.5


def test_rare_positives_count_only_for_metrics_that_see_them():
    assert notes_of(RARE, RARE * 0.9, Budget(), "binary_accuracy") == []


def test_more_data_than_was_answered_counts():
    assert notes_of(LABELS, SCORES, Budget(), samples=6000) == []


@pytest.mark.parametrize(
    ("metric", "n", "classes", "counted"),
    [
        ("top1", 100, [50, 50], 100),
        ("macro_f1", 100, [10] * 10, 10),
        ("average_precision", 100, [97, 3], 3),
        ("f1", 100, [], 100),
        ("mae", 100, [], 100),
    ],
)
def test_a_metric_rests_on_as_many_samples_as_its_classes_have(metric, n, classes, counted):
    assert sample_sizes.count_samples(metric, n, classes) == counted
