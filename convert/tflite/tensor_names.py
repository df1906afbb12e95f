"""Give a `.tflite` the canonical input and output names, and put both in the canonical order, also for access by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeship.errors import CheckError
from edgeship.formats import flatbuffer

SIGNATURE = "serving_default"


def rename(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The same model with tensors, signature and the order of inputs and outputs as given.

    Raises CheckError where the signature does not hold exactly these names.
    """
    model = flatbuffer.unpack(content)
    signature = next((item for item in model.signatureDefs or [] if _decode_text(item.signatureKey) == SIGNATURE), None)
    if signature is None:
        raise CheckError("the converted .tflite has no signature 'serving_default'")
    graph = model.subgraphs[signature.subgraphIndex]
    for side, names in (("inputs", inputs), ("outputs", outputs)):
        maps = {_decode_text(item.name): item for item in getattr(signature, side)}
        if set(maps) != set(names):
            raise CheckError(f"the converted .tflite has {side} {sorted(maps)}, the model has {sorted(names)}")
        maps_in_order = [maps[name] for name in names]
        setattr(signature, side, maps_in_order)
        setattr(graph, side, [item.tensorIndex for item in maps_in_order])
    _separate_outputs(model, graph, signature)
    _name_tensors(graph, signature)
    return flatbuffer.pack(model)


def _separate_outputs(model: Any, graph: Any, signature: Any) -> None:
    """A tensor of its own for every output: one that is an input, or another output, passes through a Transpose.

    Converters fold a pass-through away; the tensor then could have one of its two names only.
    """
    border = {int(index) for index in graph.inputs}
    for item in signature.outputs:
        if int(item.tensorIndex) in border:
            item.tensorIndex = _append_copy(model, graph, int(item.tensorIndex))
        border.add(int(item.tensorIndex))
    graph.outputs = [item.tensorIndex for item in signature.outputs]


def _append_copy(model: Any, graph: Any, index: int) -> int:
    """Append a Transpose that changes no axis (any dtype, any dynamic shape); returns its output tensor's index."""
    import copy

    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    source = graph.tensors[index]
    axes = np.arange(len(source.shape), dtype=np.int32)
    buffer = schema.BufferT()
    buffer.data = axes.view(np.uint8)
    model.buffers.append(buffer)
    order = schema.TensorT()
    order.name, order.shape, order.type, order.buffer = (
        b"axes",
        [len(axes)],
        schema.TensorType.INT32,
        len(model.buffers) - 1,
    )
    duplicate = copy.copy(source)
    duplicate.buffer = 0
    graph.tensors += [order, duplicate]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE
    code.version = 1
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [index, len(graph.tensors) - 2], [len(graph.tensors) - 1]
    operator.builtinOptionsType, operator.builtinOptions = (
        schema.BuiltinOptions.TransposeOptions,
        schema.TransposeOptionsT(),
    )
    graph.operators.append(operator)
    return len(graph.tensors) - 1


def _name_tensors(graph: Any, signature: Any) -> None:
    """Canonical names for the border tensors; a tensor inside that has one of them is renamed, so that names stay unique."""
    border = {item.tensorIndex: _decode_text(item.name) for item in reversed([*signature.inputs, *signature.outputs])}
    for index, tensor in enumerate(graph.tensors):
        if index in border:
            tensor.name = border[index].encode()
        elif _decode_text(tensor.name) in border.values():
            tensor.name = f"{_decode_text(tensor.name)}/inner_{index}".encode()


def _decode_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
