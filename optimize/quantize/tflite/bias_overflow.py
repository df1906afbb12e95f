"""Biases that int32 cannot hold: litert-quantizer 0.11 cuts them off, and a channel whose weights are zero loses its own.

A bias is stored in steps of its input's scale times its channel's weight scale. Where the weights are zero or next to it, as of
filters that were pruned away or that batch norm has shut, that step is so small that the bias is beyond int32. Such a channel
takes a larger weight scale, with which the bias fits; weights that it rounds away are below a billionth of the bias.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edgeship.data import Array
from edgeship.formats import flatbuffer
from edgeship.light_dataclass import dataclass

# Where input, weights and bias stand among the inputs of an operator.
_PLACES = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
# What litert-quantizer calls a constant that it has copied for a second operator.
_COPY = re.compile(rb"_duplicated_\d+$")
# Of the largest weight scale: below it a channel is nothing in int8, and XNNPACK refuses still smaller ones.
_LEAST = 2.0**-20
_MOST = 2**30  # steps of a bias: a half of int32 is left for the sum that it is added to


@dataclass(frozen=True)
class _Bias:
    """An int32 bias: the index of the int8 weights beside it, the scale of the input, its tensor, and what it was in float."""

    weights: int
    input_scale: float
    tensor: Any
    values: Array


def fit_biases(model: Any, original: Any) -> None:
    """Give channels of the quantized `model` whose float bias, in `original`, is beyond int32 a weight scale that it fits."""
    names = flatbuffer.operator_names(model)
    for graph, original_graph in zip(model.subgraphs, original.subgraphs, strict=True):
        floats: dict[bytes, list[Array]] = {}  # a converter may give several constants one name
        for tensor in original_graph.tensors:
            data = original.buffers[tensor.buffer].data
            if tensor.type == flatbuffer.FLOAT32 and data is not None:
                floats.setdefault(tensor.name, []).append(np.frombuffer(bytes(data), np.float32).astype(np.float64))
        biases: dict[int, list[_Bias]] = {}
        for operator in graph.operators:
            if bias := _find_bias(model, graph, operator, names[operator.opcodeIndex], floats):
                biases.setdefault(bias.weights, []).append(bias)
        for weights, added in biases.items():
            _fit_channels(model, graph.tensors[weights], added)


def _find_bias(model: Any, graph: Any, operator: Any, kind: str, floats: dict[bytes, list[Array]]) -> _Bias | None:
    places = _PLACES.get(kind)
    if places is None or len(operator.inputs) <= places[2] or operator.inputs[places[2]] < 0:
        return None
    source, weights, bias = (graph.tensors[operator.inputs[place]] for place in places)
    data = model.buffers[bias.buffer].data
    if weights.type != flatbuffer.INT8 or bias.type != flatbuffer.INT32 or data is None or source.quantization is None:
        return None
    stored = np.frombuffer(bytes(data), np.int32).astype(np.float64)
    steps = np.asarray(bias.quantization.scale, np.float64)
    for values in floats.get(bias.name, floats.get(_COPY.sub(b"", bias.name), [])):
        if values.shape == stored.shape and _is_stored(values, stored, steps):
            return _Bias(operator.inputs[places[1]], float(source.quantization.scale[0]), bias, values)
    return None


def _is_stored(values: Array, stored: Array, steps: Array) -> bool:
    """Whether the int32 numbers are these values in those steps, but for what int32 cuts off."""
    cut_off = np.abs(stored) >= 2**31 - 1
    near = np.abs(stored * steps - values) <= steps + 1e-5 * np.abs(values)
    return bool((near | (cut_off & (stored * values > 0))).all())


def _fit_channels(model: Any, weights: Any, biases: list[_Bias]) -> None:
    """Rescale the channels of a weight tensor for all biases that are added to what it makes."""
    scales = np.array(weights.quantization.scale, np.float64)
    per_channel = len(scales) > 1
    least = [np.abs(bias.values) / (bias.input_scale * _MOST) for bias in biases]
    least = [item if per_channel else item.max(keepdims=True) for item in least]
    needed = np.max([np.maximum(scales, scales.max() * _LEAST), *least], axis=0)
    if (needed <= scales).all():
        return
    codes = np.frombuffer(bytes(model.buffers[weights.buffer].data), np.int8).reshape(weights.shape)
    axis = weights.quantization.quantizedDimension
    form = [-1 if index == axis and per_channel else 1 for index in range(codes.ndim)]
    needed = needed.astype(np.float32).astype(np.float64)
    weights.quantization.scale = needed.astype(np.float32)
    _write(model, weights, np.round(codes * (scales / needed).reshape(form)).clip(-127, 127).astype(np.int8))
    for bias in biases:
        steps = np.broadcast_to(bias.input_scale * needed, np.shape(bias.tensor.quantization.scale))
        bias.tensor.quantization.scale = steps.astype(np.float32)
        _write(model, bias.tensor, np.round(bias.values / steps).astype(np.int32))


def _write(model: Any, tensor: Any, values: Array) -> None:
    """Give the tensor a buffer of its own: equal constants may share one."""
    from ai_edge_litert import schema_py_generated as schema

    tensor.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT(np.frombuffer(values.tobytes(), np.uint8)))
