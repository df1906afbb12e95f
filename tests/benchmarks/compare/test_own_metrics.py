"""A metric of the user's own: what it may give, and what ends the command with a sentence."""

import re
import sys

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, drop_intervals
from edgeship.benchmarks.compare.metrics import choose_metric, find_metric
from edgeship.errors import InputError
from edgeship.settings.sections import Benchmark, MetricChoice
from tests.present import present

RNG = np.random.default_rng(0)
LABELS = RNG.normal(size=(200, 3))
SERVER = LABELS + RNG.normal(size=LABELS.shape) * 0.1
ARTIFACT = LABELS + RNG.normal(size=LABELS.shape) * 0.2
MODULE = """
import numpy as np

def far(labels, outputs):
    return np.abs(labels - outputs).mean(axis=1)

def whole(labels, outputs):
    return float(np.abs(labels - outputs).mean())

def raises(labels, outputs):
    raise KeyError("no such\\nthing")

def nan(labels, outputs):
    return np.where(np.arange(len(labels)) == 3, np.nan, 1.0)

def nothing(labels, outputs):
    return None

def short(labels, outputs):
    return far(labels, outputs)[:-1]

def text(labels, outputs):
    return ["a"] * len(labels)

def changes(labels, outputs):
    outputs[0] = 0
    return far(labels, outputs)

def seldom(labels, outputs):
    return float("nan") if (labels[0] != FIRST).any() else 1.0

def undirected(labels, outputs):
    return far(labels, outputs)

def spelled(labels, outputs):
    return float(np.mean([len(set(label) & set("ab")) for label in labels]))

def constant(labels, outputs):
    return np.ones(len(labels))

def mean_output(labels, outputs):
    return float(outputs.mean())

for function in (constant, mean_output, far, whole, raises, nan, nothing, short, text, changes, seldom, spelled):
    function.higher_is_better = False
answer = 42
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Names a function of the module, which lies in the folder that is worked in."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield lambda function: f"{name}:{function}"
    sys.modules.pop(name, None)


def test_a_number_for_each_sample_is_averaged(own):
    compared = accuracy.compare(LABELS, SERVER, ARTIFACT, own("far"))
    usual = accuracy.compare(LABELS, SERVER, ARTIFACT, "mae")
    assert (compared.value, compared.server, compared.drop) == pytest.approx((usual.value, usual.server, usual.drop))
    assert present(compared.low) < present(compared.drop) < present(compared.high)
    assert (compared.metric, compared.higher_is_better, compared.share) == (own("far"), False, False)


def test_one_number_for_all_samples_is_taken_of_resamples(own):
    compared = accuracy.compare(LABELS, SERVER, ARTIFACT, own("whole"))
    usual = accuracy.compare(LABELS, SERVER, ARTIFACT, "mae")
    assert compared.drop == pytest.approx(present(usual.drop))
    by_sample = accuracy.compare(LABELS, SERVER, ARTIFACT, own("far"))
    assert compared.low == pytest.approx(present(by_sample.low), rel=0.2)
    assert compared.high == pytest.approx(present(by_sample.high), rel=0.2)
    assert compared.method.endswith(", 1000 resamples")
    assert "1000 resamples" in compared.why  # which the table's legend has
    assert by_sample.why == ""


def test_a_slow_one_gets_fewer_resamples_or_none_and_says_so(own, monkeypatch):
    monkeypatch.setattr(drop_intervals, "SECONDS", 0.0)
    compared = accuracy.compare(LABELS, SERVER, ARTIFACT, own("whole"))
    assert compared.low is None and compared.value is not None
    assert "too long for 200 resamples: let it give a number per sample" in compared.reason


@pytest.mark.parametrize("function", ["constant", "mean_output"])
def test_one_that_does_not_care_whose_the_answers_are_has_no_interval(own, function):
    """A constant passed with an interval of [0, 0]."""
    compared = accuracy.compare(LABELS, SERVER, ARTIFACT, own(function))
    assert compared.low is None and compared.high is None
    assert "where the server model's answers are shuffled, so that it says nothing about a model" in compared.reason


def test_labels_may_be_what_it_likes(own):
    texts = np.array(["abc", "b", "c"] * 4)
    assert accuracy.compare(texts, np.zeros((12, 1)), np.zeros((12, 1)), own("spelled")).value == 1.0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raises", r"raises KeyError: .*no such"),
        ("nan", "gives NaN or infinity for 1 of 200 samples"),
        ("nothing", r"gives NoneType for 200 samples: it must give one number for each sample, shape \(200,\)"),
        ("short", r"gives an array of shape \(199,\) for 200 samples"),
        ("text", r"gives an array of shape \(200,\)"),
        ("changes", "raises ValueError: assignment destination is read-only"),
        ("missing", "has no attribute 'missing'"),
        ("answer", "it is int, and no function"),
        ("undirected", r"add a line undirected.higher_is_better = True \(or False\) below the function"),
    ],
)
def test_what_is_no_metric_ends_with_a_sentence(own, function, message):
    with pytest.raises(InputError, match=f"metric '{re.escape(own(function))}'.*{message}") as error:
        accuracy.compare(LABELS, SERVER, ARTIFACT, own(function))
    assert "\n" not in str(error.value)


def test_a_module_that_is_not_there_is_a_sentence(own):
    with pytest.raises(InputError, match=r"metric 'nowhere:f': No module named 'nowhere'"):
        find_metric("nowhere:f")
    with pytest.raises(InputError, match=r"no module 'nowhere' in this folder or installed"):
        _ = Benchmark(metric="nowhere:f").metric_choice


def test_figures_depend_on_its_source(own, tmp_path):
    before = Benchmark(metrics={"note": own("far")}).metric_choice
    (path,) = tmp_path.glob("own_*.py")
    path.write_text(path.read_text() + "\n")
    after = Benchmark(metrics={"note": own("far")}).metric_choice
    assert before.digests.keys() == {own("far")} == after.digests.keys()
    assert before.digests != after.digests


def test_each_output_has_the_metric_that_it_is_given(own):
    labels, truth = {"y_size": LABELS, "y_kind": RNG.integers(4, size=200)}, RNG.random((200, 4))
    outputs = {"size": SERVER, "kind": truth}
    choice = MetricChoice("r2", {"kind": "macro_f1"})
    report = accuracy.measure(labels, outputs, outputs, choice)
    assert {name: item.metric for name, item in report.outputs.items()} == {"size": "r2", "kind": "macro_f1"}
    report = accuracy.measure(labels, outputs, outputs, MetricChoice(None, {"size": own("far")}))
    assert {name: item.metric for name, item in report.outputs.items()} == {"size": own("far"), "kind": "top1"}


@pytest.mark.parametrize(
    ("labels", "outputs", "metric", "message"),
    [
        (RNG.integers(3, size=6), RNG.random((6, 3)), "f1", "3 classes apart.*macro_f1.* would fit"),
        (RNG.integers(3, size=6), RNG.random((6, 3)), "mae", "top1, top5, .*balanced_accuracy.* would fit"),
        (RNG.random(6), RNG.random(6), "roc_auc", "labels for yes and no are 0 or 1.*mae, rmse, r2 would fit"),
        (RNG.integers(2, size=6), RNG.random(6), "map", r"are no boxes \(n, D, 6\).*binary_accuracy, .* would fit"),
        (np.zeros((6, 2)), RNG.random((6, 2, 4)), "wer", "0 and negative ones are padding.*top1"),
        (RNG.random((6, 1)), RNG.random((6, 1)), "ndcg@3", r"scores \(n, items\).*mae"),
    ],
)
def test_a_metric_that_does_not_fit_names_those_that_do(labels, outputs, metric, message):
    with pytest.raises(InputError, match=f"^{metric}: .*{message}"):
        choose_metric(labels, outputs, metric)


def rare(n, share, noise, shift=0.0):
    rng = np.random.default_rng(1)
    labels = (rng.random((n, 4, 4)) < share).astype(int)
    return labels, np.clip(labels * 0.8 + rng.normal(0, noise, labels.shape) + shift, 0, 1)


@pytest.mark.parametrize(
    ("share", "noise", "shift", "metric"),
    [
        (0.3, 0.1, 0.0, "binary_accuracy"),
        (0.02, 0.1, 0.0, "f1"),
        (0.02, 0.05, -0.5, "average_precision"),  # it never says yes
        (0.0, 0.1, 0.0, "binary_accuracy"),
    ],
)
def test_where_few_labels_are_positive_the_metric_sees_them(share, noise, shift, metric):
    labels, scores = rare(300, share, noise, shift)
    task, *_ = choose_metric(labels, scores)
    assert task.name == metric
    assert ("of the labels are 1: accuracy would hardly fall with them" in task.why) == (metric != "binary_accuracy")


def test_rare_positives_of_two_classes_are_seen_as_well():
    labels, scores = rare(300, 0.02, 0.1)
    of_two = np.stack([1 - scores, scores], axis=-1)
    task, *_ = choose_metric(labels, of_two)
    assert (task.name, task.classes) == ("f1", True)
    alone = accuracy.compare(labels, scores, scores)
    both = accuracy.compare(labels, of_two, of_two)
    assert both.value == pytest.approx(present(alone.value))
    assert choose_metric(1 - labels, of_two[..., ::-1])[0].name == "top1"


def masks(n=150, share=0.02, classes=3):
    """Labels (n, 8, 8) of which `share` are the last class, and scores that are right in nearly all."""
    rng = np.random.default_rng(5)
    others = [(1 - share) / (classes - 1)] * (classes - 1)
    labels = rng.choice(classes, (n, 8, 8), p=[*others, share])
    answers = np.where(rng.random(labels.shape) < 0.02, rng.integers(0, classes, labels.shape), labels)
    return labels, np.eye(classes)[answers] * 0.9 + 0.1 / classes


@pytest.mark.parametrize(
    ("share", "classes", "metric"),
    [(0.02, 3, "mean_iou"), (0.2, 3, "top1"), (0.02, 2, "f1"), (0.02, 8, "mean_iou"), (0.0, 3, "top1")],
)
def test_a_rare_class_of_several_places_a_sample_is_seen(share, classes, metric):
    labels, scores = masks(share=share, classes=classes)
    for truth in (labels, np.eye(classes, dtype=np.int64)[labels]):
        assert choose_metric(truth, scores)[0].name == metric
    padded = np.where(np.arange(8) < 4, labels, -1)
    assert choose_metric(padded, scores)[0].name == metric
    one_place = choose_metric(labels[:, :1, 0], scores[:, 0, 0])[0]
    assert (one_place.name == "f1") == (classes == 2) and one_place.name != "mean_iou"


def test_words_have_rare_ones_by_nature():
    labels = np.random.default_rng(0).integers(0, 300, (50, 8))
    assert choose_metric(labels, np.random.default_rng(1).random((50, 8, 300)))[0].name == "top1"


def test_top1_hardly_falls_where_mean_iou_does():
    """The case that was seen: a mask whose rare class loses a fifth of its places."""
    labels, server = masks(n=1500)
    lost = (labels == 2) & (np.random.default_rng(2).random(labels.shape) < 0.2)
    artifact = np.where(lost[..., None], np.roll(server, 1, axis=-1), server)
    by_top1, by_itself = (accuracy.compare(labels, server, artifact, metric) for metric in ("top1", None))
    assert present(by_top1.high) < 0.01 * present(by_top1.server)  # within the usual margin
    assert present(by_itself.low) > 0.01 * present(by_itself.server)
    assert (by_itself.metric, by_itself.why) == (
        "mean_iou",
        f"{100 * (labels == 2).mean():.2g} % of the labels are class 2: top1 would hardly fall with it",
    )
    assert by_itself.per_class and by_itself.sure_flips


def test_accuracy_hardly_falls_where_f1_does():
    """The case that was seen: a grid of 1 % positives, and an artifact that misses a fifth of them."""
    labels, server = rare(3000, 0.01, 0.1)
    artifact = np.where(np.random.default_rng(2).random(server.shape) < 0.2, 0.1, server)
    by_accuracy = accuracy.compare(labels, server, artifact, "binary_accuracy")
    by_itself = accuracy.compare(labels, server, artifact)
    assert present(by_accuracy.high) < 0.01 * present(by_accuracy.server)  # within the usual margin
    assert present(by_itself.low) > 0.01 * present(by_itself.server)
    assert by_itself.metric == "f1" and by_itself.why
