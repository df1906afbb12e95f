"""Large constants that litert-quantizer leaves in float32, stored small: above all the tables of embeddings.

Keras' Embedding becomes a GATHER, whose table litert-quantizer 0.11 touches in full-integer files only; in a text model
that is most of the file. The table is stored as float16 or int8 with a DEQUANTIZE, as TensorFlow's converter does it;
an int8 table is read as it is, and only the rows that are looked up are dequantized (`int8_coverage`).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from edgeship.formats import flatbuffer
from edgeship.optimize.quantize.tflite import int8_coverage

LEAST_BYTES = 1024

# Operators whose kernels do not ask for a constant, so that a DEQUANTIZE may stand before them. Factors and summands
# stay float32: they are small, and precise for a reason, as the mean of a raw feature that is far above its deviation.
_READERS = {"float16": {"GATHER", "BATCH_MATMUL", "PRELU"}, "int8": {"GATHER"}}
_DEQUANTIZE = 6  # BuiltinOperator of the TFLite schema
_VERSIONS = {"float16": 3, "int8": 2}  # from which DEQUANTIZE takes that type (TFLite's op_version.cc)


def shrink_constants(content: bytes, kind: str) -> bytes:
    """The model with such constants as `kind`, "float16" or "int8" (symmetric, per tensor); as it is without any."""
    model = flatbuffer.unpack(content)
    names = flatbuffer.operator_names(model)
    constants = [(graph, index) for graph in model.subgraphs for index in _large_constants(model, graph, names, kind)]
    if not constants:
        return content
    code = _dequantize_code(model, kind)
    for graph, index in constants:
        graph.operators.insert(0, _shrink_constant(model, graph, index, kind, code))
    if kind == "int8":
        int8_coverage.extend_int8_coverage(model, {})
    flatbuffer.drop_unused(model)
    return flatbuffer.pack(model)


def _large_constants(model: Any, graph: Any, names: list[str], kind: str) -> list[int]:
    readers: dict[int, set[str]] = {}
    for operator in graph.operators:
        for index in operator.inputs:
            readers.setdefault(index, set()).add(names[operator.opcodeIndex])
    return [
        index
        for index, tensor in enumerate(graph.tensors)
        if tensor.type == flatbuffer.FLOAT32
        and model.buffers[tensor.buffer].data is not None
        and len(model.buffers[tensor.buffer].data) >= LEAST_BYTES
        and readers.get(index, {""}) <= _READERS[kind]
        and index not in graph.outputs
    ]


def _dequantize_code(model: Any, kind: str) -> int:
    """The index of an operator code for DEQUANTIZE, added where there is none."""
    from ai_edge_litert import schema_py_generated as schema

    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == _DEQUANTIZE:
            code.version = max(code.version, _VERSIONS[kind])
            return index
    model.operatorCodes.append(schema.OperatorCodeT(_DEQUANTIZE, None, _VERSIONS[kind], _DEQUANTIZE))
    return len(model.operatorCodes) - 1


def _shrink_constant(model: Any, graph: Any, index: int, kind: str, code: int) -> Any:
    """Move the constant to a new tensor of the smaller type; returns the DEQUANTIZE from it to the old one."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = graph.tensors[index]
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32)
    small = copy.copy(tensor)
    small.name = tensor.name + b"_" + kind.encode()
    if kind == "float16":
        limit = float(np.finfo(np.float16).max)
        small.type, data = flatbuffer.FLOAT16, values.clip(-limit, limit).astype(np.float16)
    else:
        scale = float(np.abs(values).max()) / 127 or 1.0
        small.type, data = flatbuffer.INT8, np.round(values / scale).astype(np.int8)
        small.quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[0])
    small.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT(data.view(np.uint8)))
    graph.tensors.append(small)
    tensor.buffer = 0  # the empty one: its values are computed now
    return schema.OperatorT(opcodeIndex=code, inputs=[len(graph.tensors) - 1], outputs=[index])
