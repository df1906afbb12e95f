"""The contents of an `.onnx`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.convert.twins.contents import Array, Constant, Contents, Operator, affine, plain

BORDERS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Constant", "Identity")
# Inputs with a quantized constant and its zero point, of operators that take integers; the scale is multiplied in later.
INTEGER_OPS = {"ConvInteger": (1, 3), "MatMulInteger": (1, 3)}
QUANTIZED, SCALE = "_quantized", "_scale"  # how ONNX Runtime's quantizer calls a constant and its scale


def read(path: Path) -> Contents:
    """Constants and operators of the file; `edgeship.convert.receipts` has looked at it before."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    quantized = dict(_quantized(graph, arrays))
    scales = {name for node in graph.node if node.op_type in BORDERS for name in node.input[1:]}
    constants = [
        quantized.get(name) or plain(name, values)
        for name, values in arrays.items()
        if name not in scales and not name.endswith((SCALE, "_zero_point")) and values.dtype.kind in "fiu"
    ]
    operators = [Operator(node.op_type, _attributes(node)) for node in graph.node if node.op_type not in BORDERS]
    return Contents(tuple(constants), tuple(operators))


def _quantized(graph: Any, arrays: dict[str, Array]) -> Iterator[tuple[str, Constant]]:
    """Quantized constants by the name that they have in the file."""
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays and node.input[1] in arrays:
            name, scale = node.input[0], arrays[node.input[1]]
            zero = arrays[node.input[2]] if len(node.input) > 2 and node.input[2] in arrays else 0 * scale
            axis = next((int(item.i) for item in node.attribute if item.name == "axis"), 1)
            yield name, _affine(name, arrays[name], scale, zero, axis)
        if node.op_type in INTEGER_OPS:
            place, zero_place = INTEGER_OPS[node.op_type]
            name = node.input[place]
            factor = arrays.get(name.removesuffix(QUANTIZED) + SCALE)
            if name in arrays and factor is not None:
                points = arrays.get(node.input[zero_place]) if zero_place < len(node.input) else None
                axis = 0 if node.op_type == "ConvInteger" else arrays[name].ndim - 1
                yield name, _affine(name, arrays[name], factor, 0 * factor if points is None else points, axis)


def _affine(name: str, codes: Array, scale: Array, zero: Array, axis: int) -> Constant:
    bits = 4 if codes.dtype.name.endswith("int4") else codes.dtype.itemsize * 8
    return affine(name.removesuffix(QUANTIZED), codes.astype(np.int64), scale, zero, axis, bits)


def _attributes(node: Any) -> dict[str, str]:
    import onnx

    kinds = onnx.AttributeProto
    plain_kinds = (kinds.FLOAT, kinds.INT, kinds.STRING, kinds.FLOATS, kinds.INTS, kinds.STRINGS)
    return {
        item.name: str(onnx.helper.get_attribute_value(item)) for item in node.attribute if item.type in plain_kinds
    }
