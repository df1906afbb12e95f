"""What an `.onnx` file really holds, read from its protobuf."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeship.bundle.receipt import Receipt
from edgeship.convert.receipts.weights import Weights, content_of
from edgeship.errors import InputError, MissingDependencyError
from edgeship.formats import pair_sums
from edgeship.types import Quantization, TensorSpec
from edgeship.untrusted import place_within, printable, regular_file

BORDER_OPS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
INTEGER_OPS = ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "MatMulNBits", "DynamicQuantizeMatMul")
# Move numbers without computing; a Quantize behind them is no sign of an int8 kernel, nor its lack of a float one.
MOVING_OPS = ("Shape", "Constant", "Identity", "ConstantOfShape", "Range", "Size", "Cast")
# Where the inputs of an op hold a constant and its zero point.
ZERO_POINTS = {"DequantizeLinear": (0, 2), "ConvInteger": (1, 3), "MatMulInteger": (1, 3)}
# Where operators hold two numbers a byte.
FOUR_BITS = {"MatMulNBits": 1, "GatherBlockQuantized": 0}
# Terms of letters with at most one ellipsis, as "...ij,jk->...ik".
TERM = rb"[A-Za-z ]*(?:\.\.\. *)?[A-Za-z ]*"
EQUATION = re.compile(TERM + rb"(?:," + TERM + rb")*(?:->" + TERM + rb")?")
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")


def read(path: Path) -> Receipt:
    """The receipt of an `.onnx`. Raises InputError for a file that is not one."""
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError("reading an .onnx file needs onnx: pip install 'edgeship[onnx]'") from error
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content_of(path))
    except DecodeError as error:
        raise InputError(f"{printable(path)}: not an .onnx file, or a truncated one") from error
    if not model.HasField("graph") or not model.opset_import:
        raise InputError(f"{printable(path)}: not an .onnx file, or a truncated one")
    _load_external(model, path)
    nodes = list(_nodes(model.graph))
    _check_nodes([*nodes, *(node for function in model.functions for node in _nodes(function))], path)
    opsets = {item.domain: item.version for item in model.opset_import}
    producers = {name: node for node in model.graph.node for name in node.output}
    scales = _constants(model.graph)
    dequantizing = {node.input[0]: node for node in reversed(model.graph.node) if node.op_type == "DequantizeLinear"}
    constants = {tensor.name for tensor in model.graph.initializer}
    custom = {f"{node.domain}:{node.op_type}" for node in nodes if node.domain not in (*DOMAINS, "com.microsoft")}
    return Receipt(
        format="onnx",
        inputs=tuple(
            _spec(value, _affine(dequantizing.get(value.name), scales), path)
            for value in model.graph.input
            if value.name not in constants
        ),
        outputs=tuple(
            _spec(value, _producer_quantization(value.name, producers, scales), path) for value in model.graph.output
        ),
        ops=dict(Counter(node.op_type for node in nodes).most_common()),
        custom_ops=tuple(sorted(custom)),
        **_precision(model, nodes),
        overflowing=_overflowing(model.graph),
        weights=_weights(model.graph, path).summary(),
        opset=opsets.get("", opsets.get("ai.onnx")),
        opsets=opsets,
        ir_version=model.ir_version,
    )


def _check_nodes(nodes: list[Any], path: Path) -> None:
    """Raise InputError for an Einsum or a Split of which onnx 1.23 infers the shapes for ever, or into all memory."""
    for node in nodes:
        for attribute in node.attribute if node.op_type in ("Einsum", "Split") else ():
            if attribute.name == "equation" and not EQUATION.fullmatch(attribute.s):
                raise InputError(f"{printable(path)}: {printable(attribute.s)[:100]} is no equation of an Einsum")
            if attribute.name == "num_outputs" and attribute.i != len(node.output):
                raise InputError(f"{printable(path)}: a Split into {attribute.i:,} has {len(node.output)} outputs")


def _load_external(model: Any, path: Path) -> None:
    """Read the constants that lie in files beside the model.

    Raises InputError for a place that is not in its folder, and where several constants are the same bytes, so that
    small files become more than any memory holds.
    """
    from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model, uses_external_data

    parts = [model.graph, *model.functions]
    stored = [ExternalDataInfo(item) for part in parts for item in _tensors(part) if uses_external_data(item)]
    if not stored:
        return
    places = {item.location: place_within(path.parent, item.location) for item in stored}
    sizes = {name: regular_file(place).stat().st_size for name, place in places.items()}
    wanted = sum(sizes[item.location] - (item.offset or 0) if item.length is None else item.length for item in stored)
    if wanted > sum(sizes.values()):
        raise InputError(
            f"{printable(path)}: wants more bytes of the files beside it than they have; are all of them whole?"
        )
    load_external_data_for_model(model, str(path.parent))


def _tensors(part: Any) -> Iterator[Any]:
    """Every constant of a graph or a function, and of the graphs in it."""
    yield from getattr(part, "initializer", ())
    for node in part.node:
        for attribute in node.attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _tensors(inner)


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _nodes(inner)


def _dtype(number: int) -> str:
    import onnx

    return str(onnx.helper.tensor_dtype_to_np_dtype(number).name)


def _spec(value: Any, quantization: Quantization | None, path: Path) -> TensorSpec:
    if (kind := value.type.WhichOneof("value")) not in ("tensor_type", None):
        what = f"'{printable(value.name)}' is a {str(kind).removesuffix('_type')} and no tensor"
        raise InputError(
            f"{printable(path)}: {what}: make it again with tensors only (from scikit-learn: zipmap=False)"
        )
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return TensorSpec(value.name, shape, _dtype(tensor.elem_type), quantization)


def _constants(graph: Any) -> dict[str, Any]:
    """Small constants by name: scales and zero points."""
    from onnx import numpy_helper

    found = {tensor.name: tensor for tensor in graph.initializer}
    found |= {
        node.output[0]: node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and node.attribute[0].HasField("t")
    }
    return {
        name: numpy_helper.to_array(tensor)
        for name, tensor in found.items()
        if max([1, *tensor.dims]) <= 4096 and len(tensor.dims) <= 1
    }


def _affine(node: Any, scales: dict[str, Any]) -> Quantization | None:
    if node is None or node.input[1] not in scales:
        return None
    scale = scales[node.input[1]].reshape(-1)
    zero = scales[node.input[2]].reshape(-1) if len(node.input) > 2 and node.input[2] in scales else scale * 0
    axis = None if len(scale) == 1 else 0
    return Quantization(tuple(map(float, scale)), tuple(map(int, zero)), axis)


def _producer_quantization(name: str, producers: dict[str, Any], scales: dict[str, Any]) -> Quantization | None:
    node = producers.get(name)
    return _affine(node, scales) if node is not None and node.op_type == "QuantizeLinear" else None


def _precision(model: Any, nodes: list[Any]) -> dict[str, Any]:
    """A node of a QDQ graph runs in int8 where all its data comes from Dequantize and all it makes goes to Quantize."""
    graph = model.graph
    dequantized = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    users: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, set()).add(node.op_type)
    kinds = _kinds(model)
    constants = {tensor.name for tensor in graph.initializer}
    ends = {value.name for value in graph.output}
    integer, floating = 0, []
    for node in graph.node:
        if node.op_type in (*BORDER_OPS, *MOVING_OPS) or not any(
            kinds.get(name, "float32").startswith("float") or node.op_type in INTEGER_OPS for name in node.output
        ):
            continue
        data = [
            name
            for name in node.input
            if name and name not in constants and kinds.get(name, "float32").startswith("float")
        ]
        taken = all(name in dequantized for name in data) and bool(data)
        given = all(name not in ends and users.get(name, set()) <= {"QuantizeLinear"} for name in node.output if name)
        if node.op_type in INTEGER_OPS or (taken and given):
            integer += 1
        else:
            floating.append(f"{node.op_type}: {node.name or node.output[0]}")
    total = integer + len(floating)
    return {
        "int8_op_share": integer / total if total else 0.0,
        "hybrid_op_share": sum(node.op_type in INTEGER_OPS for node in nodes) / total if total else 0.0,
        "float_islands": tuple(floating if integer else ()),
    }


def _overflowing(graph: Any) -> tuple[str, ...] | None:
    """Operators whose int8 weights may overflow (see `pair_sums`); None where none computes with such weights."""
    from onnx import TensorProto, numpy_helper

    constants = {item.name: item for item in graph.initializer if item.data_type == TensorProto.INT8}
    sources = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    found, computed = [], False
    for node in graph.node:
        place = pair_sums.WEIGHT_INPUTS.get(node.op_type)
        if place is None or len(node.input) <= place:
            continue
        in_floats = node.op_type in ("Conv", "Gemm", "MatMul")
        if in_floats and node.input[0] not in sources:
            continue
        tensor = constants.get(sources.get(node.input[place], "") if in_floats else node.input[place])
        if tensor is None or len(tensor.dims) < 2:
            continue
        computed = True
        weights = numpy_helper.to_array(tensor)
        layout = pair_sums.weight_layout(node, weights.shape)
        if layout and weights.size and pair_sums.may_overflow(weights, layout):
            found.append(f"{node.op_type}: {node.name or node.output[0]}")
    return tuple(found) if computed else None


def _kinds(model: Any) -> dict[str, str]:
    """The dtype of every tensor that shape inference can tell."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except (onnx.shape_inference.InferenceError, ValueError):  # beyond 2 GB, or ops of other domains
        inferred = model.graph
    kinds = {
        value.name: value.type.tensor_type.elem_type
        for value in [*inferred.value_info, *inferred.input, *inferred.output]
    }
    return {name: _dtype(number) for name, number in kinds.items() if number}


def _weights(graph: Any, path: Path) -> Weights:
    from onnx import numpy_helper

    weights = Weights(path)
    tensors = list(graph.initializer)
    inner = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    for part in inner:
        tensors += part.initializer
    tensors += [
        node.attribute[0].t
        for part in [graph, *inner]
        for node in part.node
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t")
    ]
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors if tensor.name}
    zeros = _zeros([node for part in [graph, *inner] for node in part.node], arrays)
    packed = {node.input[FOUR_BITS[node.op_type]] for node in graph.node if node.op_type in FOUR_BITS}
    for tensor in tensors:
        values = numpy_helper.to_array(tensor)
        if tensor.name in packed and values.dtype == "uint8" and values.ndim:
            weights.add(tensor.name, [*values.shape[:-1], 2 * values.shape[-1]], "uint4", values.nbytes)
            continue
        numeric = values if values.dtype.kind in "fiub" else None
        zero = zeros.get(tensor.name, 0)
        weights.add(tensor.name, list(values.shape), _dtype(tensor.data_type), values.nbytes, numeric, zero)
    return weights


def _zeros(nodes: list[Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """What stands for 0 in constants that are not symmetric: their zero points by name, in a shape that broadcasts."""
    found = {}
    for node in nodes:
        if node.op_type not in ZERO_POINTS:
            continue
        value, point = ZERO_POINTS[node.op_type]
        if point >= len(node.input) or node.input[value] not in arrays or node.input[point] not in arrays:
            continue
        values, points = arrays[node.input[value]], arrays[node.input[point]]
        # Output channels come first in convolutions, last in products; DequantizeLinear says where.
        axis = {"ConvInteger": 0, "MatMulInteger": values.ndim - 1}.get(node.op_type, _axis(node))
        if points.size == 1:
            found[node.input[value]] = points.reshape(())
        elif values.shape[axis : axis + 1] == points.shape:
            found[node.input[value]] = points.reshape([-1 if index == axis else 1 for index in range(values.ndim)])
    return found


def _axis(node: Any) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 1)
