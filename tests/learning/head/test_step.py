"""The training step in the real runtimes is numpy's to 1e-6, and which models are cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgeship.client.learning.arithmetic import Head, apply_activation, compute_loss, safe_rate, take_step
from edgeship.client.learning.engines import StepModel
from tests.learning.head.conftest import Made
from tests.learning.head.head_models import STEP


def draw_batch(activation: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Head]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(STEP["batch"], STEP["features"])).astype(np.float32) * 3
    target = random.random((STEP["batch"], STEP["outputs"])).astype(np.float32)
    if activation == "softmax":
        target = np.eye(STEP["outputs"], dtype=np.float32)[target.argmax(1)]
    weights = random.normal(size=(STEP["features"], STEP["outputs"])).astype(np.float32)
    return features, target, Head(weights, random.normal(size=STEP["outputs"]).astype(np.float32))


@pytest.mark.parametrize("form", ["tflite", "onnx"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "linear"])
def test_a_step_is_the_same_in_a_runtime_and_in_numpy(made: Made, activation, form):
    step = StepModel(form, made.root / f"{activation}.{form}")
    features, target, head = draw_batch(activation)
    exact = Head(*(item.astype(np.float64) for item in head))
    for _ in range(5):
        head, loss = step.take_step(features, target, 0.01, head)
        exact, exact_loss = take_step(features.astype(np.float64), target.astype(np.float64), 0.01, exact, activation)
        assert loss == pytest.approx(exact_loss, rel=1e-5)
    for got, wanted in zip(head, exact, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6 * max(1, abs(wanted).max()))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "linear"])
def test_the_step_follows_the_gradient_of_the_loss(activation):
    features, target, head = draw_batch(activation)
    exact = Head(*(item.astype(np.float64) for item in head))
    stepped, loss = take_step(features, target, 1.0, exact, activation)

    def loss_of(weights, bias):
        return compute_loss(features @ weights + bias, target, activation)

    assert loss == pytest.approx(loss_of(*exact))
    tiny = 1e-6
    for place in np.ndindex(exact.weights.shape):
        nudged = exact.weights.copy()
        nudged[place] += tiny
        slope = (loss_of(nudged, exact.bias) - loss) / tiny
        assert exact.weights[place] - stepped.weights[place] == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("scale", [0.01, 1, 300])
def test_no_step_at_the_safe_rate_raises_the_loss(activation, scale):
    features, target, head = draw_batch(activation)
    features = features * scale
    head = Head(*(item.astype(np.float64) for item in head))
    rate, losses = safe_rate(features, activation), []
    for _ in range(50):
        head, loss = take_step(features.astype(np.float64), target, rate, head, activation)
        losses.append(loss)
    assert all(after <= before + 1e-9 * abs(before) for before, after in itertools.pairwise(losses))


def test_extreme_scores_are_finite():
    scores = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]])
    for activation in ("softmax", "sigmoid"):
        np.testing.assert_allclose(apply_activation(scores, activation), [[1, 0], [0, 1]])
        assert compute_loss(scores, np.eye(2), activation) == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("without", "last layer is 'global_average_pooling1d', a GlobalAveragePooling1D"),
        ("relu", "the scores of layer 'bent' go through relu"),
        ("twice", "layer 'bent' go through sigmoid and softmax"),
        ("each-step", "layer 'steps' reads a tensor of shape ?x5x4"),
        ("two", "2 outputs"),
        ("alone", "nothing is before layer 'all'"),
    ],
)
def test_a_model_without_a_dense_head_is_refused(made: Made, name, said):
    assert said in made.refused[name]
    assert name == "alone" or "head_step learns a Dense layer" in made.refused[name]


def test_heads_of_every_kind_are_cut(made: Made):
    assert made.refused.keys() == {"without", "relu", "twice", "each-step", "two", "alone"}
    for name, outputs in {"own-softmax": 3, "sequential": 2, "numbers": 2}.items():
        with np.load(made.root / name / "head.npz") as head:
            assert head["weights"].shape == (4, outputs) and head["bias"].shape == (outputs,)
        assert (made.root / name / "base.keras").is_file()
