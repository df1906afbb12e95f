from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from edgeship.train.own_data.expectations import HeldOut, Results, compare_answers, describe_results
from edgeship.train.own_data.samples import Target
from edgeship.typed_json import convert
from edgeship.types import drop_missing, to_json

CLASSES = Target("animal", ("ant", "bee", "cat"))


def describe(target: Target, truth: Any, scores: Any, groups: Any = None, **baselines: Any) -> Results:
    tested = HeldOut(np.arange(len(truth)) + 100, np.asarray(truth), np.asarray(scores, np.float32), baselines)
    return describe_results(target, tested, lambda row: f"row {row}", lambda row: f"content {row}", groups)


def test_errors_are_counted_of_a_thousand() -> None:
    truth = np.array([0] * 5 + [1] * 3 + [2] * 2)
    scores = np.eye(3)[[0, 0, 0, 1, 1, 1, 1, 1, 2, 0]] * 0.8 + 0.05
    found = describe(CLASSES, truth, scores, constant=np.tile([1.0, 0, 0], (10, 1)))
    assert found.accuracy is not None and found.accuracy.value == 0.7
    assert found.errors_of_thousand == 300
    assert found.confusion == ((3, 2, 0), (0, 3, 0), (1, 0, 1))
    assert [(item.label, item.false_alarms, item.misses) for item in found.class_errors] == [
        ("ant", 100, 200), ("bee", 200, 0), ("cat", 0, 100),
    ]  # fmt: skip
    assert {(item.sample, item.truth, item.answer, item.content) for item in found.failures} == {
        ("row 103", "ant", "bee", "content 103"),
        ("row 104", "ant", "bee", "content 104"),
        ("row 109", "cat", "ant", "content 109"),
    }
    assert convert(Results, drop_missing(to_json(found))) == found, "a card is read as it was written"
    assert found.baselines[0].accuracy == 0.5 and found.worse_than == ("constant",), "10 samples show nothing"


def test_thresholds_trade_one_error_for_the_other() -> None:
    truth = np.array([0, 0, 0, 1, 1])
    second = np.array([0.05, 0.35, 0.75, 0.45, 0.95])
    found = describe(Target("sick", ("no", "yes")), truth, np.stack([1 - second, second], 1))
    curve = {item.threshold: (item.false_positives, item.false_negatives) for item in found.threshold_curve}
    assert curve[0.1] == (400, 0) and curve[0.5] == (200, 200) and curve[0.8] == (0, 200)
    assert found.threshold == 0.5 and found.accuracy is not None and found.accuracy.value == 0.6


def test_precision_recall_and_errors_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(8)
    truth = (random.random(500) < 0.3).astype(np.int64)
    second = np.clip(random.normal(0.35 + 0.3 * truth, 0.25), 0, 1).astype(np.float32)
    found = describe(Target("sick", ("no", "yes")), truth, np.stack([1 - second, second], 1))
    assert len(found.threshold_curve) == 21
    for point in found.threshold_curve:
        answers = second > point.threshold
        _, false, missed, right = confusion_matrix(truth, answers).ravel().tolist()
        assert (point.false_positives, point.false_negatives) == (2 * false, 2 * missed)
        assert point.recall == pytest.approx(recall_score(truth, answers), abs=1e-4)
        if right + false:
            assert point.precision == pytest.approx(precision_score(truth, answers), abs=1e-4)
        else:
            assert point.precision is None


def test_values_are_judged_by_their_distance() -> None:
    truth = np.arange(10, dtype=np.float32)
    scores = truth + np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 5], np.float32)
    found = describe(Target("price"), truth, scores, constant=np.full(10, 4.5, np.float32))
    assert found.mae is not None and found.mae.value == 0.5 and found.mae.low < 0.5 < found.mae.high
    assert found.rmse == pytest.approx(2.5**0.5) and found.r2 == pytest.approx(1 - 2.5 / 8.25)
    assert (found.failures[0].sample, found.failures[0].truth, found.failures[0].answer) == ("row 109", "9", "14")
    assert found.accuracy is None
    assert convert(Results, drop_missing(to_json(found))) == found


def test_gaps_between_groups_are_told_with_their_chance() -> None:
    truth = np.zeros(400, np.int64)
    scores = np.eye(3)[np.where(np.arange(400) % 4 == 0, 1, 0)]
    groups = np.where(np.arange(400) < 200, "east", "west")
    even = describe(CLASSES, truth, scores, ("site", groups)).groups
    uneven = describe(CLASSES, truth, np.eye(3)[np.where(np.arange(400) < 90, 1, 0)], ("site", groups)).groups
    assert even is not None and even.p_value is not None and even.p_value > 0.9
    assert uneven is not None and uneven.p_value is not None and uneven.p_value < 1e-6
    assert {item.label for item in uneven.groups} == {"east", "west"}


@pytest.mark.parametrize("kind", ["hits", "values"])
def test_equal_models_are_seldom_called_better_or_worse(kind: str) -> None:
    """The test of paired answers is one of 5 %: of 1,000 draws of two equal models 7 % at most differ (three deviations)."""
    random = np.random.default_rng(5)
    verdicts = []
    for _ in range(1000):
        hard = random.random(200)
        if kind == "hits":
            first, second = ((random.random(200) < 0.3 * hard).astype(float) for _ in range(2))
        else:
            first, second = (np.square(random.normal(size=200) * hard) for _ in range(2))
        verdicts.append(compare_answers(first, second)[0])
    differ = sum(verdict != "no different" for verdict in verdicts)
    assert differ <= 70, differ


def test_a_worse_model_is_found() -> None:
    random = np.random.default_rng(6)
    found = [
        compare_answers((random.random(500) < 0.2).astype(float), (random.random(500) < 0.1).astype(float))[0]
        for _ in range(100)
    ]
    assert found.count("worse") >= 95 and "better" not in found
    assert compare_answers(np.zeros(50), np.zeros(50)) == ("no different", 1.0)
