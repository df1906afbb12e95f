"""Every metric equals the library that it is named after, with weights of samples, ties, and classes that do not occur."""

import warnings

import jiwer
import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgeship.benchmarks.compare.metrics import choose_metric, decisions
from edgeship.benchmarks.compare.statistics import groups_of

AVERAGES = ("micro", "macro", "weighted")


def figures(labels, outputs, metric, weights):
    """The metric with each sample counted so often: of all samples, and by the way of groups, which must agree."""
    task, truth, answers = choose_metric(labels, outputs, metric)
    logits = not task.classes and decisions.threshold_of(answers) == 0
    statistic = task.statistic(truth, answers, logits=logits)
    value = statistic(weights[None].astype(float))[0]
    grouped = statistic.group(np.arange(len(weights)))(weights[None].astype(float))[0]
    assert grouped == pytest.approx(value, abs=1e-12, nan_ok=True)
    return float(value)


def equal(first, second):
    return first == pytest.approx(second, abs=1e-9)


@pytest.fixture(params=range(5))
def rng(request):
    return np.random.default_rng(request.param)


def binary(rng, shape=(200,), share=0.2):
    labels = (rng.random(shape) < share).astype(int)
    labels.flat[0], labels.flat[1] = 0, 1
    scores = np.round(np.clip(labels * 0.4 + rng.random(shape) * 0.7, 0, 1), 2)  # rounded: many ties
    return labels, scores, rng.integers(0, 4, shape[0]) + rng.random(shape[0])


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        ("f1", reference.f1_score),
        ("precision", reference.precision_score),
        ("recall", reference.recall_score),
        ("balanced_accuracy", reference.balanced_accuracy_score),
        ("binary_accuracy", reference.accuracy_score),
        ("mean_iou", lambda *arrays, **weights: reference.jaccard_score(*arrays, average="macro", **weights)),
    ],
)
def test_decisions(rng, metric, function):
    labels, scores, weights = binary(rng)
    assert equal(figures(labels, scores, metric, weights), function(labels, scores > 0.5, sample_weight=weights))


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        ("roc_auc", reference.roc_auc_score),
        ("average_precision", reference.average_precision_score),
        ("log_loss", reference.log_loss),
    ],
)
def test_scores(rng, metric, function):
    labels, scores, weights = binary(rng)
    expected = function(labels, scores, sample_weight=weights)
    assert equal(figures(labels, scores, metric, weights), expected)
    if metric == "log_loss":
        of_two = figures(labels, np.stack([1 - scores, scores], axis=1), metric, weights)
    else:
        of_two = figures(labels, np.stack([1 - scores, scores * 3], axis=1), metric, weights)
        assert equal(figures(labels[:, None], scores[:, None] * 9 - 4, metric, weights), expected)  # logits
    assert equal(of_two, expected)


def test_a_grid_of_decisions_is_pooled(rng):
    labels, scores, _ = binary(rng, (40, 5, 6, 1), 0.1)
    weights = rng.integers(1, 4, 40)
    flat, answers = labels.repeat(weights, axis=0).ravel(), scores.repeat(weights, axis=0).ravel()
    assert equal(figures(labels, scores, "f1", weights), reference.f1_score(flat, answers > 0.5))
    assert equal(
        figures(labels, scores, "average_precision", weights), reference.average_precision_score(flat, answers)
    )
    assert equal(figures(labels, scores, "roc_auc", weights), reference.roc_auc_score(flat, answers))


@pytest.mark.parametrize("name", ["f1", "precision", "recall"])
@pytest.mark.parametrize("average", AVERAGES)
def test_averages_over_classes_and_labels(rng, name, average):
    function, weights = getattr(reference, f"{name}_score"), rng.random(80)
    truth = rng.choice([0, 1, 2, 5], 80, p=[0.5, 0.3, 0.15, 0.05])  # 3, 4 and 6 are never true; 6 never an answer
    scores = rng.random((80, 7)) * [1, 1, 1, 0.9, 0.9, 1, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = function(truth, scores.argmax(1), average=average, sample_weight=weights)
        assert equal(figures(truth, scores, f"{average}_{name}", weights), expected)
        labels, several, _ = binary(rng, (80, 4))
        labels[:, 3] = 0
        several[:, 3] = 0.1
        expected = function(labels, several > 0.5, average=average, sample_weight=weights)
        assert equal(figures(labels, several, f"{average}_{name}", weights), expected)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_ranking_of_classes_and_labels(rng, average):
    truth, weights = np.r_[:4, rng.integers(4, size=116)], rng.integers(1, 5, 120)
    scores = np.round(rng.dirichlet(np.ones(4), 120), 2) + np.eye(4)[truth] * 0.1
    scores /= scores.sum(axis=1, keepdims=True)
    expected = reference.roc_auc_score(truth, scores, average=average, multi_class="ovr", sample_weight=weights)
    assert equal(figures(truth, scores, f"{average}_roc_auc", weights), expected)
    labels, several, _ = binary(rng, (120, 3))
    for name, function in (
        ("roc_auc", reference.roc_auc_score),
        ("average_precision", reference.average_precision_score),
    ):
        expected = function(labels, several, average=average, sample_weight=weights)
        assert equal(figures(labels, several, f"{average}_{name}", weights), expected)


def test_multi_class_figures(rng):
    truth, weights, scores = rng.choice([0, 1, 3], 90), rng.random(90), rng.dirichlet(np.ones(4), 90)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that is an answer and never true
        expected = reference.balanced_accuracy_score(truth, scores.argmax(1), sample_weight=weights)
    assert equal(figures(truth, scores, "balanced_accuracy", weights), expected)
    expected = reference.log_loss(truth, scores, labels=range(4), sample_weight=weights)
    assert equal(figures(truth, scores, "log_loss", weights), expected)
    expected = reference.jaccard_score(truth, scores.argmax(1), average="macro", sample_weight=weights)
    assert equal(figures(truth, scores, "mean_iou", weights), expected)


def test_log_loss_of_probabilities_of_zero():
    """They are as far from 0 as their type can tell, in scikit-learn's own float32 arithmetic."""
    truth, scores = np.array([0, 1, 2]), np.eye(3, dtype=np.float32)[[0, 2, 2]]
    expected = reference.log_loss(truth, scores)
    assert figures(truth, scores, "log_loss", np.ones(3)) == pytest.approx(expected, rel=1e-6)
    truth, yes = np.array([0, 1, 0]), np.array([0.0, 1.0, 1.0], np.float32)
    expected = reference.log_loss(truth, yes)
    assert figures(truth, yes, "log_loss", np.ones(3)) == pytest.approx(expected, rel=1e-6)


def test_log_loss_of_logits(rng):
    truth, logits = rng.integers(3, size=50), rng.normal(size=(50, 3)) * 5
    powers = np.exp(logits)
    expected = reference.log_loss(truth, powers / powers.sum(axis=1, keepdims=True))
    task, labels, outputs = choose_metric(truth, logits, "log_loss")
    assert equal(task.statistic(labels, outputs, logits=True)(np.ones((1, 50)))[0], expected)


def test_masks(rng):
    truth, outputs = rng.integers(3, size=(20, 6, 6)), rng.random((20, 6, 6, 3))
    weights = rng.integers(1, 4, 20)
    flat = [array.repeat(weights, axis=0).ravel() for array in (truth, outputs.argmax(-1))]
    assert equal(figures(truth, outputs, "mean_iou", weights), reference.jaccard_score(*flat, average="macro"))


def test_regression(rng):
    truth, weights = rng.normal(1000, 2, (70, 3)), rng.random(70)
    truth[:, 2] = 0.0  # never varies
    outputs = truth + rng.normal(size=truth.shape)
    for name, function in (
        ("r2", reference.r2_score),
        ("mae", reference.mean_absolute_error),
    ):
        assert equal(figures(truth, outputs, name, weights), function(truth, outputs, sample_weight=weights))


@pytest.mark.parametrize("k", [None, 1, 3, 50])
def test_ndcg(rng, k):
    gains, scores = rng.integers(0, 4, (30, 12)), np.round(rng.random((30, 12)), 1)
    gains[3] = 0
    weights = rng.random(30)
    expected = reference.ndcg_score(gains, scores, k=k, sample_weight=weights)
    assert equal(figures(gains, scores, f"ndcg@{k}" if k else "ndcg", weights), expected)


def test_many_scores_go_by_sums_of_groups():
    """Beyond 20,000 scores resamples are counted by groups and steps of the order; neighbouring steps may count as ties."""
    rng = np.random.default_rng(0)
    labels, scores, _ = binary(rng, (3000, 10), 0.03)
    groups = groups_of(3000)
    weights = rng.exponential(size=groups.max() + 1)
    for name, function in (
        ("average_precision", reference.average_precision_score),
        ("roc_auc", reference.roc_auc_score),
    ):
        task, truth, _ = choose_metric(labels, scores, name)
        grouped = task.statistic(truth, scores, logits=False).group(groups)(weights[None])[0]
        repeated = np.repeat(weights[groups], 10)
        assert equal(grouped, function(labels.ravel(), scores.ravel(), sample_weight=repeated))
        precise = scores + rng.random(scores.shape) / 1000
        grouped = task.statistic(truth, precise, logits=False).group(groups)(weights[None])[0]
        assert grouped == pytest.approx(function(labels.ravel(), precise.ravel(), sample_weight=repeated), abs=2e-3)


def coco_map(labels, outputs):
    """What pycocotools says of padded arrays."""
    truth = COCO()
    boxes = [(image, box) for image, rows in enumerate(labels) for box in rows if box[4] >= 0]
    truth.dataset = {
        "images": [{"id": image} for image in range(len(labels))],
        "categories": [{"id": number} for number in range(10)],
        "annotations": [
            {
                "id": number + 1,
                "image_id": image,
                "category_id": int(box[4]),
                "bbox": [*box[:2], *(box[2:4] - box[:2])],
                "area": np.prod(box[2:4] - box[:2]),
                "iscrowd": 0,
            }
            for number, (image, box) in enumerate(boxes)
        ],
    }
    truth.createIndex()
    found = [
        {
            "image_id": image,
            "category_id": int(box[5]),
            "bbox": [*box[:2], *(box[2:4] - box[:2])],
            "score": box[4],
        }
        for image, rows in enumerate(outputs)
        for box in rows
        if box[5] >= 0
    ]
    judged = COCOeval(truth, truth.loadRes(found), "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    return judged.stats[0]


def boxes(rng, samples=12, wanted=5, found=9, classes=3):
    corners = rng.random((samples, wanted, 2)) * 80
    labels = np.concatenate(
        [corners, corners + 5 + rng.random(corners.shape) * 40, rng.integers(-1, classes, (samples, wanted, 1))],
        axis=-1,
    )
    source = labels[np.arange(samples)[:, None], rng.integers(0, wanted, (samples, found))]
    near = source[..., :4] + rng.normal(size=(samples, found, 4)) * rng.choice([0, 1, 3], (samples, found, 1))
    near[..., 2:] = np.maximum(near[..., 2:], near[..., :2] + 1)
    kinds = np.where(rng.random((samples, found)) < 0.8, source[..., 4], rng.integers(-1, classes, (samples, found)))
    scores = np.round(rng.random((samples, found)), 1)
    return labels, np.concatenate([near, scores[..., None], kinds[..., None]], axis=-1)


def test_map_is_cocos(rng):
    """With equal scores: their order in a picture that is there twice is not told by counts."""
    labels, outputs = boxes(rng)
    assert equal(figures(labels, outputs, "map", np.ones(len(labels))), coco_map(labels, outputs))
    weights = rng.integers(0, 3, len(labels))
    outputs[..., 4] += rng.random(outputs.shape[:2]) / 100
    expected = coco_map(labels.repeat(weights, axis=0), outputs.repeat(weights, axis=0))
    assert equal(figures(labels, outputs, "map", weights), expected)
    assert 0.1 < expected < 1


def test_of_a_class_a_hundred_boxes_count():
    labels, outputs = boxes(np.random.default_rng(0), 3, 20, 300, 2)
    assert equal(figures(labels, outputs, "map", np.ones(3)), coco_map(labels, outputs))


def test_map_without_boxes_is_zero():
    labels, outputs = boxes(np.random.default_rng(0))
    outputs[..., 5] = -1
    assert figures(labels, outputs, "map", np.ones(len(labels))) == 0


def text_of(numbers):
    return " ".join(str(number) for number in numbers if number > 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9))
def test_word_errors_are_jiwers(seed, length, answered):
    rng = np.random.default_rng(seed)
    labels, outputs = rng.integers(-1, 4, (8, length)), rng.integers(-1, 4, (8, answered))
    labels[:, 0] = 1  # jiwer takes no empty label
    weights = rng.integers(1, 4, 8)
    texts = [list(map(text_of, array.repeat(weights, axis=0))) for array in (labels, outputs)]
    assert equal(figures(labels, outputs, "wer", weights), jiwer.wer(*texts))
    scores = np.eye(5)[np.maximum(outputs, 0)]
    assert equal(figures(labels, scores, "cer", weights), jiwer.wer(*texts))
