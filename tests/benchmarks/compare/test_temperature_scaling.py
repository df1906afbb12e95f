"""Temperature scaling: what is fitted, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeship.benchmarks.compare import temperature_scaling
from edgeship.bundle.figures.comparisons import ClassAccuracy, OutputAccuracy


def made_up(sharpness: float, seed: int = 0, samples: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from probabilities softmax(z), and logits that are `sharpness` times too large."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (samples, 5))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (shares.cumsum(1) > random.random((samples, 1))).argmax(1)
    return labels, logits * sharpness


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(sharpness: float) -> None:
    assert temperature_scaling.fit_temperature(*made_up(sharpness)) == pytest.approx(sharpness, rel=0.08)


@pytest.mark.parametrize("as_probabilities", [True, False])
def test_it_repairs_other_samples_and_changes_no_answer(as_probabilities: bool) -> None:
    fitted = temperature_scaling.fit_temperature(*made_up(3.0))
    labels, scores = made_up(3.0, seed=1)
    if as_probabilities:
        powers = np.exp(scores - scores.max(1, keepdims=True))
        scores = powers / powers.sum(1, keepdims=True)
    before = temperature_scaling.calibration_error(labels, scores)
    after = temperature_scaling.calibration_error(labels, scores, fitted)
    assert before > 0.1
    assert after < 0.03


def test_steps_of_an_int8_softmax_are_no_infinities() -> None:
    labels, scores = made_up(3.0)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    rounded = np.round(shares / shares.sum(1, keepdims=True) * 256) / 256
    assert 1.0 < temperature_scaling.fit_temperature(labels, rounded) < 4.0


def test_too_few_samples_or_nan_are_refused() -> None:
    labels, scores = made_up(1.0, samples=50)
    with pytest.raises(ValueError, match="at least 100 samples"):
        temperature_scaling.fit_temperature(labels, scores)
    labels, scores = made_up(1.0)
    scores[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        temperature_scaling.fit_temperature(labels, scores)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"ece": 0.025}, False), ({"drop": 0.05}, False), ({"per_class": ()}, False), ({"ece": None}, False)],
)
def test_only_a_shift_with_kept_answers_is_repaired(changes: dict[str, Any], expected: bool) -> None:
    row = ClassAccuracy(0, drop=0.001, low=0.0, high=0.01, server=0.9, artifact=0.899, significant=False)
    compared = OutputAccuracy(ece=0.08, ece_server=0.02, drop=0.001, per_class=(row,))
    assert temperature_scaling.needs_temperature(replace(compared, **changes)) == expected
