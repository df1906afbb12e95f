"""Every group of samples is held to its margin."""

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy
from edgeship.benchmarks.compare.statistics import paired_difference
from edgeship.benchmarks.gate import quality_checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import JudgedMeasurement
from edgeship.benchmarks.gate.group_checks import check_groups
from edgeship.bundle.figures.comparisons import GroupAccuracy, OutputAccuracy
from edgeship.bundle.figures.measurement import Measurement, MeasurementDetails
from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.pipeline import data_checks
from edgeship.settings.config import Config
from edgeship.settings.sections import MetricChoice
from edgeship.types import Verdict

BUDGET = Budget.parse({"groups": "site", "max_drop": 2})


def judge(output, budget=BUDGET):
    subject = JudgedMeasurement(Measurement("tflite/int8", "litert", "host", (), MeasurementDetails()), budget)
    (check,) = check_groups(subject, "groups", output)
    return check


def outputs(answers, classes=3):
    return np.eye(classes)[answers] * 0.8 + 0.1


def test_a_loss_in_one_group_does_not_hide_in_the_average():
    rng = np.random.default_rng(0)
    truth, groups = rng.integers(3, size=4000), np.array(["north", "south", "east", "west"] * 1000)
    answers = truth.copy()
    answers[np.flatnonzero(groups == "east")[:50]] += 1
    compared = accuracy.compare(truth, outputs(truth), outputs(answers % 3), groups=groups)
    assert {group.group: group.n for group in compared.groups} == dict.fromkeys(
        ["north", "south", "east", "west"], 1000
    )
    drops = {group.group: group.drop for group in compared.groups}
    assert drops == pytest.approx({"north": 0, "south": 0, "east": 0.05, "west": 0})
    assert compared.high is not None and compared.high < 0.02
    check = judge(compared)
    assert check.verdict is Verdict.FAIL
    assert "lost too much, of 4 groups by 'site': east drop 5.00 points" in check.reason
    assert "north" not in check.reason
    equal = judge(accuracy.compare(truth, outputs(truth), outputs(truth), groups=groups))
    assert equal.verdict is Verdict.PASS


def test_groups_of_other_metrics_have_figures_of_their_own():
    rng = np.random.default_rng(0)
    labels, groups = (rng.random(900) < 0.3).astype(int), np.arange(900) % 3
    scores = np.clip(labels * 0.5 + rng.random(900) * 0.6, 0, 1)
    compared = accuracy.compare(labels, scores, scores, "roc_auc", groups=groups)
    alone = accuracy.compare(labels[groups == 1], scores[groups == 1], scores[groups == 1], "roc_auc")
    assert compared.groups[1].server == pytest.approx(alone.server)
    labels[groups == 2] = 0
    compared = accuracy.compare(labels, scores, scores, "roc_auc", groups=groups)
    assert compared.groups[2].drop is None
    check = judge(compared)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "2: no roc_auc can be told" in check.reason


def test_groups_that_are_too_small_say_how_many_samples_decide():
    truth = np.arange(400) % 3
    few = judge(accuracy.compare(truth, outputs(truth), outputs(truth), groups=np.arange(400) % 4))
    assert few.verdict is Verdict.INCONCLUSIVE and few.samples == 100 and few.samples_needed is not None
    assert f"about {few.samples_needed:,} samples of a group would decide, there are 100" in few.reason
    truth = np.arange(4 * few.samples_needed) % 3
    more = judge(accuracy.compare(truth, outputs(truth), outputs(truth), groups=np.arange(len(truth)) % 4))
    assert (more.verdict, more.value, more.limit, more.unit) == (Verdict.PASS, 0, 2, "points")


def test_what_was_not_measured_by_groups_fails():
    check = judge(OutputAccuracy("top1", True, value=0.9, server=0.9, drop=0.0, low=0.0, high=0.0))
    assert check.verdict is Verdict.FAIL
    assert "run edgeship benchmark again" in check.reason


def drawn(rng, losses, gains, n=1500):
    """The comparison of as many groups as losses, of which so many in a sample are expected."""
    rows = []
    for name, (loss, gain) in enumerate(zip(losses, gains, strict=True)):
        lost, gained, _ = rng.multinomial(n, [loss, gain, 1 - loss - gain])
        interval = paired_difference(int(lost), int(gained), n)
        drop = (lost - gained) / n
        rows.append(GroupAccuracy(str(name), n, 0.9 - drop, 0.9, drop, interval.low, interval.high))
    return OutputAccuracy("top1", True, groups=tuple(rows))


def test_error_rates_over_ten_groups():
    """All groups at the margin: FAIL in at most 2.5 of 100. One at the margin and nine equal: PASS in at most 2.5 of 100."""
    rng = np.random.default_rng(0)
    rounds = 400
    at_margin, equal = (0.03, 0.01), (0.005, 0.005)
    fails = sum(judge(drawn(rng, *zip(*[at_margin] * 10, strict=True))).verdict is Verdict.FAIL for _ in range(rounds))
    one = list(zip(at_margin, *[equal] * 9, strict=True))
    passes = sum(judge(drawn(rng, *one)).verdict is Verdict.PASS for _ in range(rounds))
    right = sum(judge(drawn(rng, *zip(*[equal] * 10, strict=True))).verdict is Verdict.PASS for _ in range(rounds))
    assert fails / rounds < 0.04
    assert passes / rounds < 0.04
    assert right / rounds > 0.9


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, r"groups = 'site': no such array in .*data.npz \(it has: x, y\)"),
        ({"site": np.zeros((200, 2), int)}, "shape nx2 and type int64: give one whole number or text"),
        ({"site": np.linspace(0, 1, 200)}, "type float64: give one whole number"),
        ({"site": np.arange(200)}, "200 groups of 200 samples are too many, at most 100"),
    ],
)
def test_groups_that_are_none_are_a_sentence(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", x=np.zeros((200, 2)), y=np.zeros(200, int), **arrays)
    data = RepresentativeDataset(tmp_path / "data.npz")
    with pytest.raises(InputError, match=message):
        data_checks.read_groups(data, Config(), BUDGET)


@pytest.mark.parametrize("values", [np.arange(6) % 2, np.array(["a", "b"] * 3), np.array([b"a", b"b"] * 3)])
def test_groups_are_numbers_or_texts(tmp_path, values):
    np.savez(tmp_path / "data.npz", x=np.zeros((6, 2)), site=values[:, None])
    groups = data_checks.read_groups(RepresentativeDataset(tmp_path / "data.npz"), Config(), BUDGET)
    assert groups is not None
    assert sorted(set(groups)) in (["0", "1"], ["a", "b"])


def test_groups_need_a_margin():
    with pytest.raises(InputError, match="groups are held to a margin"):
        Budget.parse({"groups": "site", "accuracy": "none", "min_agreement": 0.9})
    with pytest.raises(InputError, match='must be the name of an array in the evaluation data, as "site"'):
        Budget.parse({"groups": 3})


def test_points_are_no_margin_for_a_figure_that_is_told_in_its_own_unit():
    """`max_drop = 2` is 2 points of f1, but 2.0 of r2, by which nothing would ever fail."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(500, 1))
    compared = accuracy.measure({"y": truth}, {"out": truth + 0.1}, {"out": truth * 0.0}, MetricChoice("r2"))
    details = MeasurementDetails(accuracy=compared)
    for limit, words in ((2, "max_drop is in the metric's own unit here"), (0.02, "r2 ")):
        budget = Budget.parse({"max_drop": limit})
        subject = JudgedMeasurement(Measurement("tflite/int8", "litert", "host", (), details), budget)
        check = next(quality_checks.check_accuracy(subject))
        assert check.verdict is Verdict.FAIL
        assert words in check.reason
