"""Dense kernels and tables of an `.onnx` in blocks of 4-bit numbers, for ONNX Runtime's own operators.

MatMulNBits and GatherBlockQuantized (ONNX Runtime, ContribOperators.md) read two numbers a byte, the first in the low half;
32 numbers along the features share a scale, and 8 stands for 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Array
from edgeship.errors import InputError
from edgeship.recipes.quantization import LEAST_IN_FOUR_BITS

BLOCK = 32
_DOMAIN = "com.microsoft"
# What MatMulNBits may round activations to: nothing finer than float32, or int8 in blocks.
_ACCURACY = {"weight_only_w4": 1, "dynamic_w4": 4}


def quantize_blocks(rows: Array) -> tuple[Array, Array]:
    """Codes (n, blocks, BLOCK / 2; uint8) and scales (n, blocks; float32) of `rows` (n, features; float32).

    The last block is filled with zeros. A scale puts the value that is furthest from 0 at code 0, which is one step further
    from 8 than 15 is.
    """
    count, features = rows.shape
    blocks = -(-features // BLOCK)
    values = np.pad(rows, ((0, 0), (0, blocks * BLOCK - features))).reshape(count, blocks, BLOCK)
    furthest = np.take_along_axis(values, np.abs(values).argmax(axis=2)[..., None], axis=2)
    scales = (furthest / -8).astype(np.float32)
    codes = np.clip(np.rint(values / np.where(scales == 0, 1, scales)) + 8, 0, 15).astype(np.uint8)
    return codes[..., ::2] | codes[..., 1::2] << 4, scales[..., 0]


def store_four_bits(model: str, out: Path, recipe: str) -> None:
    """Write `model` with its dense kernels and tables of at least a block of features in 4 bits, but for small ones.

    Raises InputError where there are none.
    """
    import onnx

    proto = onnx.load(model)
    constants = {item.name: item for item in proto.graph.initializer}
    small: dict[str, Any] = {}
    found = False
    for node in proto.graph.node:
        place = {"MatMul": 1, "Gather": 0}.get(node.op_type)
        tensor = constants.get(node.input[place]) if place is not None else None
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 2:
            continue
        features = tensor.dims[0 if node.op_type == "MatMul" else 1]
        small_one = tensor.dims[0] * tensor.dims[1] < LEAST_IN_FOUR_BITS
        if features < BLOCK or small_one or (node.op_type == "Gather" and (features % BLOCK or _axis(node))):
            continue
        _replace_node(node, tensor, small, recipe)
        found = True
    if not found:
        least = f"{BLOCK} features and {LEAST_IN_FOUR_BITS:,} weights"
        raise InputError(f"{model}: no dense layer or table has {least} or more: ask for dynamic_w8")
    readers = {name for node in proto.graph.node for name in node.input}
    kept = [item for item in proto.graph.initializer if item.name in readers]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend([*kept, *small.values()])
    if all(item.domain != _DOMAIN for item in proto.opset_import):
        proto.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    onnx.save(proto, str(out))


def _axis(node: Any) -> int:
    return next((int(item.i) for item in node.attribute if item.name == "axis"), 0)


def _replace_node(node: Any, tensor: Any, small: dict[str, Any], recipe: str) -> None:
    """Make the node one that reads 4 bits, in place; what it reads is added to `small` by name."""
    import onnx

    dense = node.op_type == "MatMul"
    names = [f"{tensor.name}_{'kernel' if dense else 'table'}_{part}" for part in ("w4", "scales")]
    if names[0] not in small:
        values = onnx.numpy_helper.to_array(tensor)
        codes, scales = quantize_blocks(values.T if dense else values)
        parts = (codes if dense else codes.reshape(len(codes), -1), scales)
        small.update({name: onnx.numpy_helper.from_array(part, name) for name, part in zip(names, parts, strict=True)})
    inputs = [node.input[0], *names] if dense else [names[0], node.input[1], names[1]]
    attributes: dict[str, Any] = {"block_size": BLOCK, "bits": 4}
    if dense:
        attributes |= {"K": tensor.dims[0], "N": tensor.dims[1], "accuracy_level": _ACCURACY[recipe]}
    else:
        attributes |= {"gather_axis": 0, "quantize_axis": 1}
    kind = "MatMulNBits" if dense else "GatherBlockQuantized"
    node.CopyFrom(onnx.helper.make_node(kind, inputs, list(node.output), name=node.name, domain=_DOMAIN, **attributes))
