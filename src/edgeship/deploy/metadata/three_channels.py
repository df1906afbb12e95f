"""A grey model that takes red, green and blue, as readers do that know nothing else: a 1x1 convolution makes one of three.

Its weights are those of the contract's step `grey` (ITU-R BT.601). They add up to 1, so that a scaling of the bytes before it
stays what it was, and three equal channels give what the one gave, but for the last digit of a float32.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.formats import flatbuffer

WEIGHTS = (0.299, 0.587, 0.114)


def take_three_channels(content: bytes, name: str) -> bytes:
    """The `.tflite` with three channels at the input of that name, which is 1 x height x width x 1 in float32.

    Raises InputError where it is something else.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = flatbuffer.unpack(content)
    signature = model.signatureDefs[0]
    graph = model.subgraphs[signature.subgraphIndex]
    entry = next(item for item in signature.inputs if item.name.decode() == name)
    inner = int(entry.tensorIndex)
    grey = graph.tensors[inner]
    shape = [int(size) for size in grey.shape]
    if (len(shape), shape[:1], shape[3:], grey.type) != (4, [1], [1], flatbuffer.FLOAT32):
        raise InputError(
            f"input '{name}' is {'x'.join(map(str, shape))}, and no grey picture of 1 x height x width x 1"
        )
    outer = copy.copy(grey)
    outer.shape, outer.shapeSignature = [*shape[:3], 3], None
    grey.name += b"/grey"
    graph.tensors.append(outer)
    entry.tensorIndex = len(graph.tensors) - 1
    graph.inputs = [entry.tensorIndex if int(index) == inner else index for index in graph.inputs]
    weights = _add_constant(model, graph, b"grey/weights", np.array(WEIGHTS, np.float32).reshape(1, 1, 1, 3))
    bias = _add_constant(model, graph, b"grey/bias", np.zeros(1, np.float32))
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    _insert(model, graph, "CONV_2D", [entry.tensorIndex, weights, bias], inner, options)
    return flatbuffer.pack(model)


def _insert(model: Any, graph: Any, kind: str, inputs: list[int], output: int, options: Any) -> None:
    """Put an operator before all others."""
    from ai_edge_litert import schema_py_generated as schema

    builtin = getattr(schema.BuiltinOperator, kind)
    codes = [
        index for index, item in enumerate(model.operatorCodes) if (item.builtinCode, item.version) == (builtin, 1)
    ]
    if not codes:  # a later version of the kernel may not be in the oldest runtime that the float form needs
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 1
        model.operatorCodes.append(code)
        codes = [len(model.operatorCodes) - 1]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = codes[0], inputs, [output]
    operator.builtinOptions = options
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    graph.operators = [operator, *graph.operators]


def _add_constant(model: Any, graph: Any, name: bytes, values: np.ndarray[Any, Any]) -> int:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name, list(values.shape), schema.TensorType.FLOAT32
    tensor.buffer = len(model.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
