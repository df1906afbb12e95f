"""Operators with one input, brought from float into the integer part of a quantized `.tflite`.

litert-quantizer 0.11 knows no int8 form of EXPAND_DIMS, SQUEEZE, LEAKY_RELU and a few more, and leaves them between a
DEQUANTIZE and a QUANTIZE, although LiteRT's kernels take int8; every Conv1D brings two of them. Here the DEQUANTIZE is
pushed behind such an operator, where it meets the QUANTIZE: with the same scale both vanish, with another scale the
QUANTIZE goes from int8 to int8.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgeship.formats import flatbuffer

# Only the first input holds values, and the output holds some of the same: scale and zero point stay as they are.
MOVES = (
    "EXPAND_DIMS",
    "SQUEEZE",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "DEPTH_TO_SPACE",
    "REVERSE_V2",
    "TILE",
    "GATHER",
)
_PICKS = ("REDUCE_MAX",)
# The output has a range of its own, which calibration has seen.
_FUNCTIONS = ("LEAKY_RELU", "ELU", "EXP")

# The operator version from which LiteRT's kernels take int8, where it is not the first (TFLite's op_version.cc).
_VERSIONS = {"LEAKY_RELU": 2, "EXP": 2, "REDUCE_MAX": 2}

Ranges = Mapping[str, Sequence[float]]


def extend_int8_coverage(model: Any, ranges: Ranges, integer: Callable[[str], bool] = lambda _: True) -> None:
    """Bring those operators of a flatbuffer model (a `ModelT`) to int8, in place.

    `ranges` holds the minimum and maximum that calibration saw, by tensor name; `integer` says of an operator, by its
    output's name, whether it may be brought there (others are left float on purpose).
    """
    names = flatbuffer.operator_names(model)
    for subgraph in model.subgraphs:
        for index in _push_dequantize(subgraph, names, ranges, integer):
            code = model.operatorCodes[index]
            code.version = max(code.version, _VERSIONS.get(names[index], 1))
        _cancel_quantize(subgraph, names)
        _drop_unused(subgraph, names)


def _push_dequantize(graph: Any, names: list[str], ranges: Ranges, integer: Callable[[str], bool]) -> set[int]:
    """DEQUANTIZE before such an operator becomes DEQUANTIZE behind it; SHAPE reads the integers themselves.

    Returns the operator codes that now take int8.
    """
    int8_codes = set()
    integers: dict[int, tuple[int, Any]] = {}  # float tensor -> the integer tensor that it is made of, and by what
    operators = []
    for operator in graph.operators:
        operators.append(operator)
        name = names[operator.opcodeIndex]
        source = graph.tensors[operator.inputs[0]] if name == "DEQUANTIZE" else None
        if source and source.type == flatbuffer.INT8 and len(source.quantization.scale) == 1:
            integers[operator.outputs[0]] = operator.inputs[0], operator
        elif operator.inputs and operator.inputs[0] in integers:
            output = graph.tensors[operator.outputs[0]].name.decode()
            value_range = ranges.get(output)
            if name not in (*MOVES, *_PICKS, "SHAPE") and not (name in _FUNCTIONS and value_range):
                continue
            if name != "SHAPE" and not integer(output):
                continue
            operator.inputs[0], bridge = integers[operator.inputs[0]]
            if name != "SHAPE":
                operators.append(_make_integer(graph, operator, bridge, value_range if name in _FUNCTIONS else None))
                integers[operators[-1].outputs[0]] = operator.outputs[0], operators[-1]
                int8_codes.add(operator.opcodeIndex)
    graph.operators = operators
    return int8_codes


def _make_integer(graph: Any, operator: Any, bridge: Any, value_range: Sequence[float] | None) -> Any:
    """Give the operator an integer output, of the range `value_range` or the input's; returns the DEQUANTIZE to the old one."""
    source, output = graph.tensors[operator.inputs[0]], operator.outputs[0]
    tensor = copy.copy(graph.tensors[output])
    tensor.name = tensor.name + b"_integer"
    tensor.type, tensor.quantization = source.type, copy.copy(source.quantization)
    if value_range:
        tensor.quantization.scale, tensor.quantization.zeroPoint = _quantization_parameters(*value_range)
    graph.tensors.append(tensor)
    operator.outputs[0] = len(graph.tensors) - 1
    behind = copy.copy(bridge)
    behind.inputs, behind.outputs = [operator.outputs[0]], [output]
    return behind


def _quantization_parameters(low: float, high: float) -> tuple[list[float], list[int]]:
    """Scale and zero point of a range by litert-quantizer's own formula, so that its QUANTIZE finds the very same."""
    from litert_quantizer import qtyping
    from litert_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor

    zero_point, scale = uniform_quantize_tensor.tensor_zp_scale_from_min_max(
        np.array([low]), np.array([high]), 8, False, qtyping.QuantGranularity.TENSORWISE
    )
    return [float(scale.item())], [int(zero_point.item())]


def _cancel_quantize(graph: Any, names: list[str]) -> None:
    """Remove each QUANTIZE that only undoes a DEQUANTIZE; let the others read the integers."""
    integers = {op.outputs[0]: op.inputs[0] for op in graph.operators if names[op.opcodeIndex] == "DEQUANTIZE"}
    ends = {*graph.inputs, *graph.outputs}
    for operator in list(graph.operators):
        if names[operator.opcodeIndex] != "QUANTIZE" or operator.inputs[0] not in integers:
            continue
        before, after = integers[operator.inputs[0]], operator.outputs[0]
        if not _same_quantization(graph.tensors[before], graph.tensors[after]) or {before, after} <= ends:
            operator.inputs = [before]
            continue
        graph.operators.remove(operator)
        dead, alive = (before, after) if before not in ends else (after, before)
        for other in graph.operators:
            other.inputs = [alive if index == dead else index for index in other.inputs]
            other.outputs = [alive if index == dead else index for index in other.outputs]
        integers = {key: alive if index == dead else index for key, index in integers.items()}


def _same_quantization(first: Any, second: Any) -> bool:
    def quantization_key(tensor: Any) -> tuple[Any, ...]:
        # In float32, as the file holds it: a scale made just now is still a double.
        return tensor.type, *map(np.float32, tensor.quantization.scale), *tensor.quantization.zeroPoint

    return quantization_key(first) == quantization_key(second)


def _drop_unused(graph: Any, names: list[str]) -> None:
    read_tensors = {*graph.outputs, *(index for operator in graph.operators for index in operator.inputs)}
    graph.operators = [
        op for op in graph.operators if names[op.opcodeIndex] != "DEQUANTIZE" or op.outputs[0] in read_tensors
    ]
