"""From raw data to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .contract import INPUTS, OUTPUTS
from .core import Array, Output, dequantize, preprocess, quantize, top
from .engine_litert import LiteRtEngine

MODEL = Path(__file__).parents[1] / "model.tflite"


class Predictor:
    """The model with its preprocessing."""

    def __init__(self, model: Path = MODEL) -> None:
        self.engine = LiteRtEngine(model, [item.edge for item in INPUTS], [item.edge for item in OUTPUTS])

    def predict(self, *raws: Array | Sequence[str | float] | str, orientation: int = 1) -> list[Array]:
        """The outputs, float32, for the raw data of each input (`core.preprocess`)."""
        tensors = [preprocess(item, raw, orientation=orientation) for item, raw in zip(INPUTS, raws, strict=True)]
        return self.answer(tensors)

    def answer(self, tensors: list[Array]) -> list[Array]:
        """The outputs, float32, for tensors as `core.preprocess` gives them."""
        given = [quantize(item.edge, tensor) for item, tensor in zip(INPUTS, tensors, strict=True)]
        return [dequantize(item.edge, value) for item, value in zip(OUTPUTS, self.engine.run(given), strict=True)]

    def classify(
        self, raw: Array | Sequence[str | float] | str, count: int = 3, orientation: int = 1
    ) -> list[tuple[int, str, float]]:
        """The best answers of the first output as index, label and score."""
        return decide(OUTPUTS[0], self.predict(raw, orientation=orientation)[0], count)


def decide(output: Output, scores: Array, count: int) -> list[tuple[int, str, float]]:
    """The best answers of scores, which a temperature makes as sure as they are right; none below the threshold.

    A score with two labels is one answer: the second label from the threshold on.
    """
    lowest = -np.inf if output.threshold is None else np.float32(output.threshold)
    if scores.size == 1 and len(output.labels) == 2:
        yes = int(scores.ravel()[0] >= lowest)
        return [(yes, output.labels[yes], float(scores.ravel()[0]))]
    if output.temperature:
        scores = _calibrate(output, scores)
    return [answer for answer in top(scores, count, output.labels) if answer[2] >= lowest]


def _calibrate(output: Output, scores: Array) -> Array:
    """softmax(z / temperature), of logits z or of the logarithms of probabilities."""
    values = scores.astype(np.float64)
    with np.errstate(divide="ignore"):
        below = values - values.max() if output.logits else np.log(values / values.max())
    shares = np.exp(below / output.temperature)
    return np.asarray((shares / shares.sum()).astype(np.float32))
