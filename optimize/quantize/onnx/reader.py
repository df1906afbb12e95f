"""What an `.onnx` file holds, read with onnx and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from edgeship.errors import CheckError, InputError, brief_message
from edgeship.formats.layer_names import LayerNames, scope
from edgeship.optimize.quantize import spectra
from edgeship.optimize.quantize.calibration import TRIAL_SIZES, trial_zeros
from edgeship.optimize.quantize.input_scaling import Operator
from edgeship.types import TensorSpec
from edgeship.untrusted import damage_as_input_error

# They convert between the types, or only move values or read none.
NO_ISLANDS = (
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Shape"),
    *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity"),
)

BLOCK_OPERATORS = ("MatMulNBits", "GatherBlockQuantized")
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Min", "Max", "Pow")

_KINDS = {
    **{"Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Div": "DIV", "Cast": "CAST"},
    **{"Concat": "CONCATENATION", "MatMul": "DENSE", "Gemm": "DENSE"},
}  # of `input_scaling`


def check_model(model: str) -> None:
    """Raises InputError where there is no such file or it is no ONNX model."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    if not Path(model).is_file():
        raise InputError(f"{model}: no such file; give a float .onnx")
    with damage_as_input_error(model):
        try:
            graph = onnx.load(model, load_external_data=False).graph
        except DecodeError as error:
            raise InputError(f"{model}: not an ONNX model ({error})") from error
    if not graph.node:
        raise InputError(f"{model}: not an ONNX model (it has no operators)")


def read_inputs(model: str) -> tuple[TensorSpec, ...]:
    """The model's inputs, None for a dynamic axis."""
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    constants = {item.name for item in graph.initializer}
    return tuple(_tensor_spec(item) for item in graph.input if item.name not in constants)


def _tensor_spec(item: Any) -> TensorSpec:
    import onnx

    kind = item.type.tensor_type
    shape = tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim)
    return TensorSpec(item.name, shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name)


def activation_bytes(model: str) -> int:
    """Bytes of all tensors between the operators for one sample; what is dynamic counts as 1."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(model, load_external_data=False)).graph
    return sum(4 * prod(axis.dim_value or 1 for axis in item.type.tensor_type.shape.dim) for item in graph.value_info)


def runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a model or a feed that it cannot run: classes of no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.NotImplemented, state.RuntimeException),
        RuntimeError,
    )


def check_runs(path: Path, shapes: Mapping[str, Sequence[int]] | None = None) -> None:
    """Open a written file and run it once on zeros. Raises CheckError where ONNX Runtime cannot."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # a size that does not fit is tried on purpose below
    specs = read_inputs(str(path))
    dynamic = not shapes and any(None in spec.shape[1:] for spec in specs)
    failure: Exception | None = None
    for size in TRIAL_SIZES if dynamic else (1,):
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            session.run(None, {spec.name: trial_zeros(spec, (shapes or {}).get(spec.name), size) for spec in specs})
            return
        except runtime_errors() as error:
            failure = failure or error
    raise CheckError(f"the quantized model cannot run in ONNX Runtime: {brief_message(failure)}") from failure


def nodes_of(path: Path, float_layers: Sequence[str], layers: Sequence[str]) -> list[str]:
    """The names of the operators that belong to the `float_layers` layers; `layers` are all of the Keras model's.

    tf2onnx gives an operator that it rewrites a name of its own (`Conv__44` for a depthwise convolution): then its result,
    its constants or else everything that reads it tell the layer.
    """
    import onnx

    return members_of(onnx.load(str(path), load_external_data=False).graph, float_layers, layers)


def members_of(graph: Any, float_layers: Sequence[str], layers: Sequence[str]) -> list[str]:
    """`nodes_of` a `GraphProto`."""
    constants = {item.name for item in graph.initializer}
    names = LayerNames(layers, (name for node in graph.node for name in (node.name, *node.output)))
    readers: dict[str, set[str]] = {}
    members: set[str] = set()
    for node in reversed(graph.node):
        for name in node.input:
            readers.setdefault(name, set()).add(node.name)
        node_and_tensors = (node.name, *node.output, *(name for name in node.input if name in constants))
        if name := next(filter(scope, node_and_tensors), ""):
            # What belongs to no layer is found by its scope; a layer's own may end as another layer is called.
            own = names.layers_of(name) or tuple(
                layer for layer in float_layers if f"/{scope(name)}".endswith(f"/{layer}")
            )
            belongs = bool({*own} & {*float_layers})
        else:
            read_by = set[str]().union(*(readers.get(name, ()) for name in node.output))
            belongs = bool(read_by) and read_by <= members
        if belongs:
            members.add(node.name)
    return [node.name for node in graph.node if node.name in members]


def input_operators(path: Path) -> list[Operator]:
    """The operators of a float model, as far as they are known ones, in the order in which they run."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    ranks = {item.name: len(item.type.tensor_type.shape.dim) for item in graph.value_info}
    operators = []
    for node in graph.node:
        across = any(
            item.name == "axis" and item.i not in (-1, ranks.get(node.output[0], 0) - 1) for item in node.attribute
        )
        inputs = [constants.get(name, name) for name in node.input]
        if node.op_type == "Gemm":  # what a MatMul and the Add of its bias were fused to
            inputs = [
                inputs[0],
                inputs[1] if isinstance(inputs[1], str) or not _is_set(node, "transB") else inputs[1].T,
            ]
            across = _is_set(node, "transA")
        if node.op_type in _KINDS and not across:
            operators.append(Operator(_KINDS[node.op_type], node.output[0], tuple(inputs)))
    return operators


def list_operators(path: Path) -> list[spectra.Operator]:
    """The operators of a float model, with the tensors that are no constants."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    constants = {item.name for item in graph.initializer}
    return [
        spectra.Operator(
            node.op_type, node.output[0], tuple(name for name in node.input if name and name not in constants)
        )
        for node in graph.node
    ]


def _is_set(node: Any, attribute: str) -> bool:
    return any(item.name == attribute and item.i for item in node.attribute)


def nodes_that_make(path: Path, tensors: Sequence[str]) -> list[str]:
    """The names of the operators that make these tensors."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    return [node.name for node in graph.node if {*node.output} & {*tensors}]


def stacked_products(path: Path) -> list[str]:
    """The names of `MatMul`s by a stack of kernels (of EinsumDense): ONNX Runtime's dynamic one takes scales of one only."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    stacks = {item.name for item in graph.initializer if len(item.dims) > 2}
    return [node.name for node in graph.node if node.op_type == "MatMul" and {*node.input} & stacks]


def names_around(path: Path, nodes: Sequence[str]) -> set[str]:
    """The names of these operators and of those that only read from them (as the Relu behind), and of what they read and make."""
    import onnx

    made, names = set[str](), set[str]()
    for node in onnx.load(str(path), load_external_data=False).graph.node:
        if node.name in nodes or (node.input and {*node.input} <= made):
            made.update(node.output)
            names.update((node.name, *node.input, *node.output))
    return names


def float_islands(path: Path) -> list[str]:
    """Operators of a QDQ model that compute in float32, as `Operator node name`.

    An operator is quantized where every float input of it comes from a DequantizeLinear or is a constant beside one.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    types = {item.name: item.type.tensor_type.elem_type for item in (*graph.input, *graph.output, *graph.value_info)}
    producers = {name: node.op_type for node in graph.node for name in node.output}
    islands = []
    for node in graph.node:
        floats = [name for name in node.input if name in types and types[name] == onnx.TensorProto.FLOAT]
        if node.op_type not in NO_ISLANDS and any(producers.get(name) != "DequantizeLinear" for name in floats):
            islands.append(f"{node.op_type} {node.name or node.output[0]}")
    return islands


def float_weights(path: Path, least: int = 1024) -> dict[str, int]:
    """Constants that are still float32, at least `least` bytes large and no vectors (biases), as name and bytes.

    Scales of blocks are none.
    """
    import onnx

    graph = onnx.load(str(path)).graph
    scales = {name for node in graph.node if node.op_type in BLOCK_OPERATORS for name in node.input[1:]}
    sizes = {
        item.name: prod(item.dims) * 4
        for item in graph.initializer
        if item.data_type == onnx.TensorProto.FLOAT and len(item.dims) > 1 and item.name not in scales
    }
    return {name: size for name, size in sizes.items() if size >= least}
