"""How far each tensor of a quantized `.tflite` is from the float file's, on real data.

Not litert-quantizer's `validate`: it takes the mean of each batch's own ratio, starts both interpreters anew for each batch,
and does not follow the tensors that `int8_coverage` brings to integers. Not TensorFlow's QuantizationDebugger: it only
knows files that the MLIR converter quantized itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.data import Batch, RepresentativeDataset
from edgeship.errors import InputError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.optimize.quantize import calibration
from edgeship.optimize.quantize.tflite import reader

LIMIT = 200.0  # dB: beyond what float32 can tell apart; equal tensors are written down as this
_BYTES = 256 << 20  # of all tensors that are kept at once


@dataclass(frozen=True)
class TensorErrors:
    """How far a quantized tensor is from the float one: SQNR in dB, mean squared error in the tensor's unit, and cosine.

    SQNR is 10 log10(sum(float^2) / sum(difference^2)) after dequantization, the cosine that of all values as one vector.
    `tensor` is what the quantized file calls it.
    """

    sqnr_db: float
    mse: float
    cosine: float
    tensor: str = ""


def compare(model: str, quantized_model: str, data: str, tensors: Sequence[str], count: int) -> dict[str, TensorErrors]:
    """The errors of each named tensor, over at most `count` samples, spread evenly.

    `model` is the float `.tflite`, `quantized_model` one made of it. A tensor that the quantized file does not have is left
    out. Raises InputError where the data does not fit.
    """
    content, source = reader.read(model), RepresentativeDataset(data)
    inputs = reader.read_signatures(content, model)["serving_default"]
    sides = [_Side(item, where) for item, where in ((content, model), (reader.read(quantized_model), quantized_model))]
    common = [name for name in tensors if all(side.has_tensor(name) for side in sides)]
    sums = {name: np.zeros(5) for name in common}
    size = calibration.batch_size(inputs, 1)
    if all(spec.shape and spec.shape[0] is None for spec in inputs):
        size = min(size, max(1, _BYTES // max(side.bytes for side in sides)))
    remaining = min(count, len(source))
    for feeds in calibration.spread_batches(source, inputs, size, count):
        real, other = (side.run(feeds) for side in sides)
        rows = min(size, remaining)  # a last batch is filled up with its last sample
        remaining -= rows
        for name in common:
            sums[name] += _sum_products(real(name), other(name), rows, size)
    return {name: replace(_error_figures(*sums[name].tolist()), tensor=sides[1].local_name(name)) for name in common}


class _Side:
    """A file whose tensors inside can be read after a run."""

    def __init__(self, content: bytes, where: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.where = where
        self._interpreter = Interpreter(
            model_content=content, num_threads=os.cpu_count() or 1, experimental_preserve_all_tensors=True
        )
        # By the signature's names; while its runner lives, the interpreter refuses to allocate.
        self._inputs = dict(self._interpreter.get_signature_runner("serving_default").get_input_details())
        self._interpreter.allocate_tensors()
        operator_outputs = reader.operator_outputs(content)
        details = {
            item["name"]: item for item in self._interpreter.get_tensor_details() if item["name"] in operator_outputs
        }
        self._details: Mapping[str, Any] = details
        self.bytes = sum(int(np.prod(item["shape"])) * np.dtype(item["dtype"]).itemsize for item in details.values())

    def local_name(self, name: str) -> str:
        """The tensor's name in this file: what became integer later carries a suffix."""
        return next(
            (local_name for end in ("", "_integer", "_quantized") if (local_name := name + end) in self._details), ""
        )

    def has_tensor(self, name: str) -> bool:
        return bool(self.local_name(name))

    def run(self, feeds: Batch) -> Any:
        """Returns what gives a tensor's real numbers by its name, until the next run."""
        try:
            for name, item in self._inputs.items():
                self._interpreter.resize_tensor_input(item["index"], feeds[name].shape)
            self._interpreter.allocate_tensors()
            for name, item in self._inputs.items():
                self._interpreter.set_tensor(item["index"], _quantize_values(feeds[name], item))
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{self.where}: LiteRT cannot run it on this data: {brief_message(error)}") from error

        def read_real(name: str) -> Any:
            item = self._details[self.local_name(name)]
            return _dequantize_values(self._interpreter.get_tensor(item["index"]), item)

        return read_real


def _quantize_values(values: Any, item: Mapping[str, Any]) -> Any:
    scale, zero_point = item["quantization"]
    if not scale:
        return values.astype(item["dtype"])
    limits = np.iinfo(item["dtype"])
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(item["dtype"])


def _dequantize_values(values: Any, item: Mapping[str, Any]) -> Any:
    scale, zero_point = item["quantization"]
    return (values.astype(np.float64) - zero_point) * scale if scale else values.astype(np.float64)


def _sum_products(real: Any, other: Any, rows: int, size: int) -> Any:
    """Of one batch: energy of the float values, of the others, of the difference, their product, how many values."""
    if len(real) == size and rows < size:
        real, other = real[:rows], other[:rows]
    real, other = real.ravel(), other.ravel()
    error = other - real
    return np.array([real @ real, other @ other, error @ error, real @ other, real.size])


def _error_figures(signal: float, other: float, noise: float, product: float, values: float) -> TensorErrors:
    if noise == 0:
        return TensorErrors(LIMIT, 0.0, 1.0)
    sqnr = 10 * float(np.log10(signal / noise)) if signal else -LIMIT
    cosine = product / float(np.sqrt(signal * other)) if signal and other else 0.0
    return TensorErrors(min(LIMIT, max(-LIMIT, sqnr)), noise / values, min(1.0, max(-1.0, cosine)))
