from __future__ import annotations

import json

import numpy as np
import pytest

from edgeship.train import card, card_page, tasks
from edgeship.train.dataset import SPLITS, Split, TaskData
from edgeship.typed_json import convert
from edgeship.types import TensorSpec

SPEC = TensorSpec("x", (None, 2), "float32")


@pytest.fixture
def example_card() -> card.ModelCard:
    """A card of a model that gets 8 of 10 right: all of class `a|b`, three of five of class `c`."""
    labels = np.array([0] * 5 + [1] * 5)
    scores = np.eye(3)[[0, 0, 0, 0, 0, 1, 1, 1, 0, 2]]
    split = Split(np.zeros((10, 2)), labels, np.arange(10))
    data = TaskData(
        splits=dict.fromkeys(SPLITS, split),
        labels=("a|b", "c", "never seen"),
        name="toy",
        source="a test",
        digest="d" * 64,
        licence="MIT",
        split_method="none",
        preprocessing="none",
    )
    return card.build(
        task=tasks.get("motion"),
        data=data,
        schedule=tasks.Schedule(epochs=1, batch=2, peak=1e-3),
        seed=3,
        scores={"validation": scores, "test": scores},
        model=card.ModelFacts("server.keras", "toy", 12_345, (SPEC,), (), "e" * 64, "none"),
        training=card.TrainingRecord(
            curve=(card.EpochFigures(1, 0.5, 0.7, 0.4, 0.8, 2.0),),
            seconds=card.TrainingSeconds(1.0, 2.04, 3.0),
            tools={"keras": "3"},
            machine=card.TrainingMachine("Linux", 2),
        ),
    )


def test_accuracy_is_counted_with_the_wilson_interval(example_card: card.ModelCard) -> None:
    """8 of 10: 0.490 to 0.943 (Brown, Cai and DasGupta 2001 recommend this interval for few samples)."""
    accuracy = example_card.results.accuracy
    assert (accuracy.value, accuracy.correct, accuracy.samples) == (0.8, 8, 10)
    assert (accuracy.low, accuracy.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_classes_are_counted_apart_and_absent_ones_left_out(example_card: card.ModelCard) -> None:
    assert [(item.label, item.value) for item in example_card.results.per_class] == [
        ("a|b", 1.0),
        ("c", 0.6),
    ]


def test_the_card_says_which_code_data_and_seed(example_card: card.ModelCard) -> None:
    content = json.loads(json.dumps(example_card.record(), allow_nan=False))
    assert content["data"]["sha256"] == "d" * 64
    assert (content["schema"], content["seed"]) == (1, 3)
    assert len(content["edgeship"]["code"]) == 12
    assert content["hyperparameters"]["epochs"] == 1
    assert content["seconds"] == {"training": 1.0, "training_cpu": 2.0, "total": 3.0}
    assert content["model"]["inputs"] == [{"name": "x", "shape": [None, 2], "dtype": "float32"}]
    assert "groups" not in content["data"]["splits"]["test"]
    assert convert(card.ModelCard, content) == example_card


def test_the_page_for_people_shows_the_figures(example_card: card.ModelCard) -> None:
    page = card_page.render_markdown(example_card)
    assert "**80.00%** of 10 test samples" in page
    assert "| a\\|b | 100.00% |" in page
    assert "12,345 parameters" in page
    assert "| 1 | 0.5000 | 70.00% | 0.4000 | 80.00% | 2.0 |" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
