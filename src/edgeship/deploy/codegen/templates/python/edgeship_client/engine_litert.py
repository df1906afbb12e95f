"""The model in LiteRT (PyPI: ai-edge-litert) or tflite-runtime, whichever is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from .core import Array, Edge

PACKAGES = {"ai_edge_litert.interpreter": "ai-edge-litert", "tflite_runtime.interpreter": "tflite-runtime"}


class LiteRtEngine:
    """Runs one model. Raises ValueError where its tensors are not those of the client."""

    def __init__(self, model: Path, inputs: Sequence[Edge], outputs: Sequence[Edge], threads: int = 2) -> None:
        module, self.name = _find_package()
        self._inputs, self._outputs = inputs, outputs
        self._interpreter: Any = module.Interpreter(model_path=str(model), num_threads=threads)
        for edge, detail in zip(inputs, self._details(), strict=True):
            if list(detail["shape"]) != list(edge.shape):
                self._interpreter.resize_tensor_input(detail["index"], edge.shape)
        self._interpreter.allocate_tensors()
        answers = self._interpreter.get_output_details()
        _require_fit([*inputs, *outputs], [*self._details(), *(answers[edge.index] for edge in outputs)])

    def run(self, values: Sequence[Array]) -> list[Array]:
        """The outputs, of the model's own dtypes, for inputs of the model's own dtypes."""
        for detail, value in zip(self._details(), values, strict=True):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()
        answers = self._interpreter.get_output_details()
        return [self._interpreter.get_tensor(answers[edge.index]["index"]) for edge in self._outputs]

    def _details(self) -> list[dict[str, Any]]:
        details = self._interpreter.get_input_details()
        return [details[edge.index] for edge in self._inputs]


def _find_package() -> tuple[Any, str]:
    for module, package in PACKAGES.items():
        try:
            return import_module(module), f"{package} {metadata.version(package)}"
        except ImportError:
            continue
    raise ImportError("no runtime is installed: pip install ai-edge-litert")


def _require_fit(edges: Sequence[Edge], details: Sequence[dict[str, Any]]) -> None:
    for edge, detail in zip(edges, details, strict=True):
        scale, zero_point = detail["quantization"]
        same = detail["dtype"].__name__ == edge.dtype and list(detail["shape"]) == list(edge.shape)
        if not same or abs(scale - edge.scale) > 1e-6 * edge.scale or zero_point != edge.zero_point:
            raise ValueError("not the model that this client was generated for: its tensors differ")
