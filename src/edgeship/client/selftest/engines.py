"""A model in the runtime that is installed, fed as `contract.json` says: float32 tensors in, float32 numbers out."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeship.client.outcome import SelfTestUnfinishedError
from edgeship.client.selftest.runtimes import find_runtime, missing_reason

Array = NDArray[Any]


class Engine(Protocol):
    """One opened model."""

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs, flat, by the contract's names, for float32 tensors (1, ...) by its inputs."""


def open_engine(form: str, entry: Path, described: dict[str, Any]) -> Engine:
    """Open a model; `described` is the contract's artifact. Raises SelfTestUnfinishedError where no runtime is installed."""
    runtime = find_runtime(form)
    if runtime is None:
        raise SelfTestUnfinishedError(missing_reason(form))
    if form == "tflite":
        return _LiteRt(import_module(f"{runtime.module}.interpreter"), entry, described)
    return _OnnxRuntime(import_module(runtime.module), entry, described)


class _LiteRt:
    def __init__(self, module: Any, entry: Path, described: dict[str, Any]) -> None:
        self._interpreter = module.Interpreter(model_path=str(entry))
        self._inputs, self._outputs = described["inputs"], described["outputs"]
        self._shapes: dict[str, tuple[int, ...]] = {}

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        shapes = {name: values.shape for name, values in tensors.items()}
        places = self._interpreter.get_input_details()
        if shapes != self._shapes:
            for item in self._inputs:
                self._interpreter.resize_tensor_input(places[item["index"]]["index"], shapes[item["input"]])
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for item in self._inputs:
            self._interpreter.set_tensor(places[item["index"]]["index"], quantize(tensors[item["input"]], item))
        self._interpreter.invoke()
        answers = self._interpreter.get_output_details()
        values = {
            item["output"]: self._interpreter.get_tensor(answers[item["index"]]["index"]) for item in self._outputs
        }
        return {item["output"]: dequantize(values[item["output"]], item) for item in self._outputs}


class _OnnxRuntime:
    def __init__(self, module: Any, entry: Path, described: dict[str, Any]) -> None:
        self._session = module.InferenceSession(str(entry), providers=["CPUExecutionProvider"])
        self._inputs, self._outputs = described["inputs"], described["outputs"]

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        feeds = {item["tensor"]: quantize(tensors[item["input"]], item) for item in self._inputs}
        answers = self._session.run([item["tensor"] for item in self._outputs], feeds)
        return {item["output"]: dequantize(values, item) for item, values in zip(self._outputs, answers, strict=True)}


def quantize(values: Array, item: dict[str, Any]) -> Array:
    """What a model's edge takes for float32 numbers: q = real / scale + zero_point, halves to the even neighbour."""
    dtype, edge = np.dtype(item["dtype"]), item.get("quantization")
    if edge is None:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    steps = np.rint((values / np.float32(edge["scale"])).astype(np.float64)) + edge["zero_point"]
    return np.asarray(np.clip(steps, limits.min, limits.max).astype(dtype))


def dequantize(values: Array, item: dict[str, Any]) -> Array:
    """The float32 numbers of a model's edge, flat: real = scale * (q - zero_point)."""
    edge = item.get("quantization")
    if edge is None or values.dtype.kind == "f":
        return values.astype(np.float32).ravel()
    real = (values.astype(np.int32) - edge["zero_point"]).astype(np.float32) * np.float32(edge["scale"])
    return np.asarray(real).ravel()
