"""Which loss labels and outputs call for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edgeship.errors import InputError
from edgeship.optimize.training.losses import BINARY, CLASSES, ONE_HOT, VALUES, Loss, choose

Array = np.ndarray[Any, Any]
THREE = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])


@dataclass(frozen=True)
class Case:
    labels: Array
    outputs: Array
    expected: Loss


CASES = {
    "classes of probabilities": Case(np.array([2, 1]), THREE, Loss(CLASSES)),
    "classes of logits": Case(np.array([[2], [1]]), THREE * 9, Loss(CLASSES, logits=True)),
    "classes per step": Case(np.array([[2], [1]]), THREE[:, None], Loss(CLASSES)),
    "one-hot": Case(np.eye(3)[[2, 1]], THREE, Loss(ONE_HOT)),
    "several at once": Case(np.array([[1, 1, 0], [0, 0, 0]]), THREE, Loss(BINARY)),
    "yes or no": Case(np.array([0, 1]), np.array([[0.1], [0.7]]), Loss(BINARY)),
    "yes or no in logits": Case(np.array([0, 1]), np.array([[-3.0], [2.0]]), Loss(BINARY, logits=True)),
    "a value": Case(np.array([0.5, 4.0]), np.array([[0.1], [0.7]]), Loss(VALUES)),
    "yes or no as a class": Case(np.array([True, False]), np.array([[0.2, 0.8], [0.6, 0.4]]), Loss(CLASSES)),
    "a whole number as a value": Case(np.array([3, 4]), np.array([[2.9], [4.2]]), Loss(VALUES)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_labels_decide(name: str) -> None:
    case = CASES[name]
    assert choose("y", case.labels, case.outputs, None) == case.expected


def test_labels_that_fit_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="labels from 1 to 3 do not fit the 3 classes of 'kind'"):
        choose("kind", np.array([1, 3]), THREE, None)
    with pytest.raises(InputError, match=r"labels of shape nx2 \(float64\) do not fit output 'kind' of shape nx3"):
        choose("kind", np.ones((2, 2)), THREE, None)
    with pytest.raises(InputError, match=r"unknown loss 'mse'; known: .*mean_squared_error"):
        choose("kind", np.array([1, 2]), THREE, "mse")


def test_scores() -> None:
    assert Loss(CLASSES).score(np.array([2, 0]), THREE) == 0.5
    assert Loss(BINARY, logits=True).score(np.array([0, 1]), np.array([[-1.0], [0.2]])) == 1
    assert Loss(VALUES).score(np.array([1.0, 2.0]), np.array([[1.5], [2.5]])) == 0.5


def test_a_loss_of_values_has_no_logits() -> None:
    outputs = np.array([[2.9], [-4.2]])
    loss = choose("y", np.array([3.0, 4.0]), outputs, "huber")
    np.testing.assert_allclose(loss.soften(np.array([3.0, 4.0]), outputs, 1.0), outputs, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_what_a_teacher_makes_of_the_labels(name: str) -> None:
    case = CASES[name]
    loss = case.expected
    labels_only, half, teacher_only = (loss.soften(case.labels, case.outputs, weight) for weight in (0.0, 0.5, 1.0))
    assert labels_only.shape == case.outputs.shape
    assert labels_only.dtype == np.float32
    assert loss.for_soft_targets.score(labels_only, case.outputs) == loss.score(case.labels, case.outputs)
    np.testing.assert_allclose(half, (labels_only + teacher_only) / 2, rtol=1e-6)
    if loss.name in (CLASSES, ONE_HOT):
        np.testing.assert_allclose(teacher_only.sum(-1), 1, rtol=1e-6)
        np.testing.assert_array_equal(teacher_only.argmax(-1), case.outputs.argmax(-1))
    if not loss.logits:
        np.testing.assert_allclose(teacher_only, case.outputs, rtol=1e-6)
