"""Take out of a float `.tflite` what TFLite's converter leaves of a dynamic batch axis and of one-dimensional layers.

A shape that is computed (SHAPE, STRIDED_SLICE, PACK ...: any Flatten, Reshape, or Dense over more than one axis) becomes a
constant, with -1 for the batch axis, where no other axis is unknown, and a RESHAPE, SQUEEZE or EXPAND_DIMS that undoes
another vanishes: every Conv1D and pooling layer ends in the one and begins with the other. The values are the same; there
are fewer copies, and fewer kinds of operators that a microcontroller needs. The converter does this for a fixed batch axis
only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeship.formats import flatbuffer

_VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
_SHAPES = ("SHAPE", "STRIDED_SLICE", "GATHER", "REDUCE_PROD", "PACK", "CONCATENATION")
_INTEGERS = {flatbuffer.INT32: np.int32, flatbuffer.INT64: np.int64}

ORDERED = b"model_control_dependencies"  # metadata of models with side effects

# The elements of a small tensor of integers; None where they depend on the data.
Values = list[int | None]


def simplify(content: bytes) -> bytes:
    """The same model without them, under the same names."""
    model = flatbuffer.unpack(content)
    if any(item.name == ORDERED for item in model.metadata or []):
        return content  # it counts the operators
    names = flatbuffer.operator_names(model)
    for graph in model.subgraphs:
        _make_shapes_constant(model, graph, names)
        _eliminate_inverse_reshapes(graph, names)
        _remove_dead_operators(graph, names)
    flatbuffer.drop_unused(model)
    return flatbuffer.pack(model)


def _make_shapes_constant(model: Any, graph: Any, names: Sequence[str]) -> None:
    """Give each RESHAPE whose shape is computed a constant one, where at most one axis is not known beforehand."""
    shape_values = {
        index: result for index in range(len(graph.tensors)) if (result := _constant_values(model, graph, index))
    }
    constants: dict[int, int] = {}
    for operator in graph.operators:
        name = names[operator.opcodeIndex]
        if name in _SHAPES and (result := _evaluate_shape_operator(graph, operator, name, shape_values)):
            shape_values[int(operator.outputs[0])] = result
        if name != "RESHAPE" or len(operator.inputs) != 2:
            continue
        source, shape = map(int, operator.inputs)
        values = shape_values.get(shape, [])
        if _has_data(model, graph, shape) or not values or not _is_definite(_axis_sizes(graph.tensors[source]), values):
            continue
        if shape not in constants:
            constants[shape] = _add_shape_constant(
                model, graph, shape, [-1 if value is None else value for value in values]
            )
        operator.inputs = [source, constants[shape]]
        _write_shape(graph.tensors[source], graph.tensors[operator.outputs[0]], values)


def _write_shape(source: Any, tensor: Any, values: Values) -> None:
    """Write the shape into the tensor itself, of which the converter did not know it; 1 stands for no known size there."""
    fixed_elements = math.prod(value for value in values if value is not None)
    rest = max(1, math.prod(int(size) for size in source.shape) // fixed_elements)
    tensor.shape = [rest if value is None else value for value in values]
    tensor.shapeSignature = [-1 if value is None else value for value in values] if None in values else None


def _is_definite(source: Sequence[int], values: Values) -> bool:
    """Whether the number of elements tells the shape, as RESHAPE reads -1; it takes 0 in more than one way.

    With two unknown axes before it, a computed shape refuses some sizes that a constant would take.
    """
    few = source.count(-1) <= 1 and values.count(None) <= 1
    return few and all(value is None or value > 0 for value in values)


def _add_shape_constant(model: Any, graph: Any, index: int, shape: Sequence[int]) -> int:
    """Add a constant of that shape beside the tensor that was computed; returns its index."""
    from ai_edge_litert import schema_py_generated as schema

    model.buffers.append(schema.BufferT(np.array(shape, np.int32).view(np.uint8)))
    name = graph.tensors[index].name + b"/constant"
    kind = schema.TensorType.INT32
    graph.tensors.append(schema.TensorT(name=name, shape=[len(shape)], type=kind, buffer=len(model.buffers) - 1))
    return len(graph.tensors) - 1


def _has_data(model: Any, graph: Any, index: int) -> bool:
    data = model.buffers[graph.tensors[index].buffer].data
    return data is not None and len(data) > 0


def _constant_values(model: Any, graph: Any, index: int) -> Values:
    tensor = graph.tensors[index]
    if (
        tensor.type not in _INTEGERS
        or len(_axis_sizes(tensor)) > 1
        or tensor.isVariable
        or not _has_data(model, graph, index)
    ):
        return []
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    return [int(value) for value in data.view(_INTEGERS[tensor.type])]


def _evaluate_shape_operator(graph: Any, operator: Any, name: str, shape_values: dict[int, Values]) -> Values:
    """What an operator on shapes gives, or nothing where it is not known."""
    inputs = [int(index) for index in operator.inputs]
    if name == "SHAPE":
        return [None if size < 0 else size for size in _axis_sizes(graph.tensors[inputs[0]])]
    if not all(shape_values.get(index) for index in inputs):
        return []
    parts = [shape_values[index] for index in inputs]
    # Everything known is a scalar or a vector, so there is one axis only.
    if name == "STRIDED_SLICE":
        return _slice_values(parts, operator.builtinOptions)
    if name == "GATHER":
        return [None if index is None else parts[0][index] for index in parts[1]]
    if name == "REDUCE_PROD":
        return [None if None in parts[0] else math.prod(value for value in parts[0] if value is not None)]
    # Scalars become a vector, and so do vectors; anything larger does not interest here.
    return (
        [value for part in parts for value in part] if len(_axis_sizes(graph.tensors[operator.outputs[0]])) == 1 else []
    )


def _slice_values(parts: Sequence[Values], options: Any) -> Values:
    values, (begin,), (end,), (step,) = parts
    if begin is None or end is None or not step or options.ellipsisMask or options.newAxisMask or options.offset:
        return []
    if options.shrinkAxisMask and (options.beginMask or options.endMask):
        return []  # TFLite's kernel goes by the masks there
    if options.shrinkAxisMask:
        return [values[begin]]
    return values[None if options.beginMask else begin : None if options.endMask else end : step]


def _axis_sizes(tensor: Any) -> list[int]:
    """The sizes of a tensor's axes, -1 where they are not known."""
    signature = tensor.shapeSignature
    axes = signature if signature is not None and len(signature) else tensor.shape
    return [] if axes is None else [int(size) for size in axes]


def _eliminate_inverse_reshapes(graph: Any, names: Sequence[str]) -> None:
    """Where views lead back to a shape that was there before, let the readers take the tensor of that time.

    Equal but for one unknown axis means equal: a view keeps the number of elements.
    """
    before: dict[int, list[int]] = {}  # what a view made -> what it is a view of, the nearest first
    same: dict[int, int] = {}
    graph_outputs = {int(index) for index in graph.outputs}
    for operator in graph.operators:
        operator.inputs = [same.get(int(index), int(index)) for index in operator.inputs]
        if names[operator.opcodeIndex] not in _VIEWS:
            continue
        source, view = operator.inputs[0], int(operator.outputs[0])
        before[view] = [source, *before.get(source, [])]
        axes = _axis_sizes(graph.tensors[view])
        if not axes or axes.count(-1) > 1 or view in graph_outputs:
            continue
        equal = [index for index in before[view] if _axis_sizes(graph.tensors[index]) == axes]
        if equal:
            same[view] = equal[-1]


def _remove_dead_operators(graph: Any, names: Sequence[str]) -> None:
    """Remove the views and computed shapes that nothing reads any more."""
    read_tensors = {int(index) for index in graph.outputs}
    live_operators = []
    for operator in reversed(graph.operators):
        if names[operator.opcodeIndex] in (*_VIEWS, *_SHAPES) and not read_tensors & {
            int(item) for item in operator.outputs
        }:
            continue
        read_tensors |= {int(index) for index in operator.inputs}
        live_operators.append(operator)
    graph.operators = live_operators[::-1]
