"""From raw data to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .contract import INPUTS, OUTPUTS
from .core import Array, dequantize, preprocess, quantize, top
from .engine_litert import LiteRtEngine

MODEL = Path(__file__).parents[1] / "model.tflite"


class Predictor:
    """The model with its preprocessing."""

    def __init__(self, model: Path = MODEL) -> None:
        self.engine = LiteRtEngine(model, [item.edge for item in INPUTS], [item.edge for item in OUTPUTS])

    def predict(self, *raws: Array | Sequence[str | float], orientation: int = 1) -> list[Array]:
        """The outputs, float32, for the raw data of each input (`core.preprocess`)."""
        tensors = [preprocess(item, raw, orientation=orientation) for item, raw in zip(INPUTS, raws, strict=True)]
        return self.answer(tensors)

    def answer(self, tensors: list[Array]) -> list[Array]:
        """The outputs, float32, for tensors as `core.preprocess` gives them."""
        given = [quantize(item.edge, tensor) for item, tensor in zip(INPUTS, tensors, strict=True)]
        return [dequantize(item.edge, value) for item, value in zip(OUTPUTS, self.engine.run(given), strict=True)]

    def classify(
        self, raw: Array | Sequence[str | float], count: int = 3, orientation: int = 1
    ) -> list[tuple[int, str, float]]:
        """The best answers of the first output as index, label and score."""
        return top(self.predict(raw, orientation=orientation)[0], count, OUTPUTS[0].labels)
