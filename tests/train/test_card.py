from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edgeship.train import card, tasks
from edgeship.train.dataset import SPLITS, Split, TaskData


@pytest.fixture
def example_card() -> dict[str, Any]:
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
        curve=[
            {
                "epoch": 1,
                "loss": 0.5,
                "accuracy": 0.7,
                "validation_loss": 0.4,
                "validation_accuracy": 0.8,
                "seconds": 2.0,
            }
        ],
        seed=3,
        scores={"validation": scores, "test": scores},
        model={"file": "server.keras", "parameters": 12_345, "sha256": "e" * 64, "inputs": [], "outputs": []},
        seconds={"training": 1.0, "training_cpu": 2.0, "total": 3.0},
        tools={"keras": "3"},
        machine={"cpus": 2},
    )


def test_accuracy_is_counted_with_the_wilson_interval(example_card: dict[str, Any]) -> None:
    """8 of 10: 0.490 to 0.943 (Brown, Cai and DasGupta 2001 recommend this interval for few samples)."""
    accuracy = example_card["results"]["accuracy"]
    assert (accuracy["value"], accuracy["correct"], accuracy["samples"]) == (0.8, 8, 10)
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_classes_are_counted_apart_and_absent_ones_left_out(example_card: dict[str, Any]) -> None:
    assert [(item["label"], item["value"]) for item in example_card["results"]["per_class"]] == [
        ("a|b", 1.0),
        ("c", 0.6),
    ]


def test_the_card_says_which_code_data_and_seed(example_card: dict[str, Any]) -> None:
    assert example_card["data"]["sha256"] == "d" * 64
    assert example_card["seed"] == 3
    assert len(example_card["edgeship"]["code"]) == 12
    assert example_card["hyperparameters"]["epochs"] == 1
    assert json.loads(json.dumps(example_card, allow_nan=False)) == example_card


def test_the_page_for_people_shows_the_figures(example_card: dict[str, Any]) -> None:
    page = card.render_markdown(example_card)
    assert "**80.00%** of 10 test samples" in page
    assert "| a\\|b | 100.00% |" in page
    assert "12,345 parameters" in page
    assert "| 1 | 0.5000 | 70.00% | 0.4000 | 80.00% | 2.0 |" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
