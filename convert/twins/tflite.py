"""The contents of a `.tflite`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeship.convert.twins.contents import Array, Constant, Contents, Operator, affine, plain
from edgeship.formats import flatbuffer

PLAIN = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT32": np.int32, "INT64": np.int64, "FLOAT64": np.float64}
# By the schema's name: the type of the stored codes and their bits; below 8 two or four share a byte.
QUANTIZED = {"INT8": (np.int8, 8), "UINT8": (np.uint8, 8), "INT16": (np.int16, 16), "INT32": (np.int32, 32)}
PACKED = {"INT4": 4, "INT2": 2}
BORDERS = ("QUANTIZE", "DEQUANTIZE")


def read(path: Path) -> Contents:
    """Constants and operators of the file; `edgeship.convert.receipts` has looked at it before."""
    from ai_edge_litert import schema_py_generated as schema

    model = flatbuffer.unpack(path.read_bytes())
    types = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
    names = flatbuffer.operator_names(model)
    constants, operators = [], []
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is not None and len(data) and tensor.sparsity is None:
                found = _constant(tensor, types[tensor.type], np.asarray(data, np.uint8))
                constants += [found] if found else []
        operators += [
            Operator(names[item.opcodeIndex], _attributes(item.builtinOptions))
            for item in graph.operators or []
            if names[item.opcodeIndex] not in BORDERS
        ]
    return Contents(tuple(constants), tuple(operators))


def _constant(tensor: Any, kind: str, raw: Array) -> Constant | None:
    name = tensor.name.decode(errors="replace") if isinstance(tensor.name, bytes) else str(tensor.name)
    shape = [int(size) for size in tensor.shape] if tensor.shape is not None else []
    scale = tensor.quantization.scale if tensor.quantization else None
    if scale is None or not len(scale):
        return plain(name, raw.view(PLAIN[kind]).reshape(shape)) if kind in PLAIN else None
    if kind in PACKED:
        codes, bits = _unpacked(raw, PACKED[kind], int(np.prod(shape))).reshape(shape), PACKED[kind]
    elif kind in QUANTIZED:
        stored, bits = QUANTIZED[kind]
        codes = raw.view(stored).reshape(shape)
    else:
        return None
    points = tensor.quantization.zeroPoint
    zero = points if points is not None and len(points) else np.zeros(len(scale), np.int64)
    return affine(name, codes, scale, zero, int(tensor.quantization.quantizedDimension), bits)


def _unpacked(raw: Array, bits: int, count: int) -> Array:
    """Signed codes of 4 or 2 bits, the first in the lowest bits of a byte."""
    places = np.arange(0, 8, bits)
    codes = ((raw[:, None] >> places) & (2**bits - 1)).reshape(-1)[:count].astype(np.int8)
    return np.asarray(np.where(codes >= 2 ** (bits - 1), codes - 2**bits, codes))


def _attributes(options: Any) -> dict[str, str]:
    values = vars(options) if options is not None else {}
    return {name: str(np.asarray(value).tolist()) for name, value in values.items()}
