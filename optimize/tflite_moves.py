"""Operators that only move values, brought from float into the integer part of a quantized `.tflite`.

litert-quantizer knows no int8 form of EXPAND_DIMS, SQUEEZE and a few more, and leaves them between a DEQUANTIZE and a
QUANTIZE, although their kernels take int8 as it is; every Conv1D brings two of them. Here the DEQUANTIZE is pushed
behind such an operator, where it meets the QUANTIZE with the same scale and both vanish. No value changes.
"""

from __future__ import annotations

import copy
from typing import Any

# Their first input is the values, the others say how to move them; scale and zero point stay as they are.
MOVES = ("EXPAND_DIMS", "SQUEEZE", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "DEPTH_TO_SPACE", "REVERSE_V2", "TILE")


def fold(model: Any) -> None:
    """Bring those operators of a flatbuffer model (a `ModelT`) to int8, in place."""
    from ai_edge_litert.tools import flatbuffer_utils

    names = [flatbuffer_utils.opcode_to_name(model, index) for index in range(len(model.operatorCodes))]
    for subgraph in model.subgraphs:
        _push(subgraph, names)
        _cancel(subgraph, names)
        _drop_unused(subgraph, names)


def _push(graph: Any, names: list[str]) -> None:
    """DEQUANTIZE before a moving operator becomes DEQUANTIZE behind it; SHAPE reads the integers themselves."""
    integers: dict[int, tuple[int, Any]] = {}  # float tensor -> the integer tensor that it is made of, and by what
    operators = []
    for operator in graph.operators:
        operators.append(operator)
        name = names[operator.opcodeIndex]
        if name == "DEQUANTIZE" and len(graph.tensors[operator.inputs[0]].quantization.scale) == 1:
            integers[operator.outputs[0]] = operator.inputs[0], operator
        elif name in (*MOVES, "SHAPE") and operator.inputs[0] in integers:
            operator.inputs[0], bridge = integers[operator.inputs[0]]
            if name != "SHAPE":
                operators.append(_bridged(graph, operator, bridge))
                integers[operators[-1].outputs[0]] = operator.outputs[0], operators[-1]
    graph.operators = operators


def _bridged(graph: Any, operator: Any, bridge: Any) -> Any:
    """Give the operator an integer output; the DEQUANTIZE from it to the old output is returned."""
    source, output = graph.tensors[operator.inputs[0]], operator.outputs[0]
    tensor = copy.copy(graph.tensors[output])
    tensor.name = tensor.name + b"_integer"
    tensor.type, tensor.quantization = source.type, source.quantization
    graph.tensors.append(tensor)
    operator.outputs[0] = len(graph.tensors) - 1
    behind = copy.copy(bridge)
    behind.inputs, behind.outputs = [operator.outputs[0]], [output]
    return behind


def _cancel(graph: Any, names: list[str]) -> None:
    """Remove each QUANTIZE that only undoes a DEQUANTIZE."""
    integers = {op.outputs[0]: op.inputs[0] for op in graph.operators if names[op.opcodeIndex] == "DEQUANTIZE"}
    ends = {*graph.inputs, *graph.outputs}
    for operator in list(graph.operators):
        if names[operator.opcodeIndex] != "QUANTIZE" or operator.inputs[0] not in integers:
            continue
        before, after = integers[operator.inputs[0]], operator.outputs[0]
        if not _same(graph.tensors[before], graph.tensors[after]) or {before, after} <= ends:
            continue
        graph.operators.remove(operator)
        gone, kept = (before, after) if before not in ends else (after, before)
        for other in graph.operators:
            other.inputs = [kept if index == gone else index for index in other.inputs]
            other.outputs = [kept if index == gone else index for index in other.outputs]
        integers = {key: kept if index == gone else index for key, index in integers.items()}


def _same(one: Any, other: Any) -> bool:
    def key(tensor: Any) -> tuple[Any, ...]:
        return tensor.type, *tensor.quantization.scale, *tensor.quantization.zeroPoint

    return key(one) == key(other)


def _drop_unused(graph: Any, names: list[str]) -> None:
    used = {*graph.outputs, *(index for operator in graph.operators for index in operator.inputs)}
    graph.operators = [op for op in graph.operators if names[op.opcodeIndex] != "DEQUANTIZE" or op.outputs[0] in used]
