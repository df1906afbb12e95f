"""What a `.tflite` file really holds, read from its flatbuffer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle.receipt import Receipt, Signature
from edgeship.convert.receipts.weights import Weights, content_of
from edgeship.errors import InputError
from edgeship.types import Quantization, TensorSpec
from edgeship.untrusted import count_elements, printable

VARIABLE_OPS = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
# Ops that move or convert numbers between int8 and float rather than compute.
BORDER_OPS = ("QUANTIZE", "DEQUANTIZE")


def read(path: Path) -> Receipt:
    """The receipt of a `.tflite`. Raises InputError for a file that is not one."""
    from ai_edge_litert import schema_py_generated as schema

    content = content_of(path)
    if content[4:8] != b"TFL3":
        raise InputError(f"{printable(path)}: not a .tflite file")
    _check_sharing(schema.Model.GetRootAs(content, 0), len(content), path)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    types, codes = _names(schema.TensorType), _names(schema.BuiltinOperator)
    if not model.subgraphs:
        raise InputError(f"{printable(path)}: a .tflite file without a graph")
    graph = model.subgraphs[0]
    ops = [
        (subgraph, op, _op(model.operatorCodes[op.opcodeIndex], codes))
        for subgraph in model.subgraphs
        for op in subgraph.operators or []
    ]
    custom = {_text(code.customCode) for code in model.operatorCodes if code.customCode}
    return Receipt(
        format="tflite",
        inputs=tuple(_spec(graph.tensors[index], types) for index in graph.inputs),
        outputs=tuple(_spec(graph.tensors[index], types) for index in graph.outputs),
        signatures=_signatures(model),
        ops=dict(Counter(name for _, _, name in ops).most_common()),
        op_versions={_op(code, codes): int(code.version) for code in model.operatorCodes or []},
        flex_ops=tuple(sorted({name for _, _, name in ops if name.startswith("Flex")})),
        custom_ops=tuple(sorted(name for name in custom if not name.startswith("Flex"))),
        variable_ops=tuple(sorted({name for _, _, name in ops if name in VARIABLE_OPS})),
        **_precision(ops, types),
        weights=_weights(model, types, path).summary(),
        sparse_encoding=tuple(
            _text(tensor.name)
            for subgraph in model.subgraphs
            for tensor in subgraph.tensors
            if tensor.sparsity is not None
        ),
        min_runtime=_min_runtime(model),
    )


def _check_sharing(model: Any, size: int, path: Path) -> None:
    """Raise InputError where lists are used again and again, so that a small file unpacks to more than any memory holds.

    A list has four bytes for each of its items: those of all lists need not be more than the file has.
    """
    items = model.SubgraphsLength()
    for number in range(items):
        graph = model.Subgraphs(number)
        items += graph.TensorsLength() + graph.OperatorsLength()
        if items * 4 > size:
            raise InputError(f"{printable(path)}: names more tensors and operators than it holds, is the file damaged?")


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _op(code: Any, names: dict[int, str]) -> str:
    if code.customCode:
        return _text(code.customCode)
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return names.get(number, f"BUILTIN_{number}")


def _spec(tensor: Any, types: dict[int, str]) -> TensorSpec:
    shape = tensor.shapeSignature if tensor.shapeSignature is not None and len(tensor.shapeSignature) else tensor.shape
    quantization, scales = None, tensor.quantization.scale if tensor.quantization else None
    if scales is not None and len(scales):
        zeros = tensor.quantization.zeroPoint
        points = tuple(map(int, zeros)) if zeros is not None and len(zeros) else (0,) * len(scales)
        axis = int(tensor.quantization.quantizedDimension) if len(scales) > 1 else None
        quantization = Quantization(tuple(map(float, scales)), points, axis)
    sizes = tuple(None if size < 0 else int(size) for size in (shape if shape is not None else ()))
    return TensorSpec(_text(tensor.name), sizes, types[tensor.type].lower(), quantization)


def _signatures(model: Any) -> dict[str, Signature]:
    return {
        _text(item.signatureKey): Signature(
            *(tuple(_text(entry.name) for entry in getattr(item, side) or ()) for side in ("inputs", "outputs"))
        )
        for item in model.signatureDefs or []
    }


def _precision(ops: list[Any], types: dict[int, str]) -> dict[str, Any]:
    """Shares of int8 and hybrid ops among those that compute, and the float ops of an integer model by name."""
    integer, hybrid, floating = 0, 0, []
    for subgraph, op, name in ops:
        made = [subgraph.tensors[index] for index in op.outputs if index >= 0]
        kinds = {types[tensor.type] for tensor in made}
        read_kinds = {types[subgraph.tensors[index].type] for index in op.inputs if index >= 0}
        if name in BORDER_OPS or not kinds & {"INT8", "UINT8", "INT16", "FLOAT32", "FLOAT16"}:
            continue
        if kinds & {"INT8", "UINT8", "INT16"}:
            integer += 1
        else:
            hybrid += bool(read_kinds & {"INT8", "INT4", "INT2"})
            floating.append(f"{name}: {_text(made[0].name)}")
    total = integer + len(floating)
    return {
        "int8_op_share": integer / total if total else 0.0,
        "hybrid_op_share": hybrid / total if total else 0.0,
        "float_islands": tuple(floating if integer else ()),
    }


def _weights(model: Any, types: dict[int, str], path: Path) -> Weights:
    weights, seen = Weights(path), set[int]()
    sizes = {
        "FLOAT32": np.float32,
        "FLOAT16": np.float16,
        "INT8": np.int8,
        "UINT8": np.uint8,
        "INT16": np.int16,
        "INT32": np.int32,
    }
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or len(data) == 0 or tensor.buffer in seen:
                continue
            seen.add(tensor.buffer)
            kind, raw = types[tensor.type], np.asarray(data, np.uint8)
            shape = [int(size) for size in tensor.shape] if tensor.shape is not None else []
            values = raw.view(sizes[kind]) if kind in sizes else None
            left_out = 0
            if values is not None and tensor.sparsity is not None:
                left_out = count_elements(shape, 1, path) - len(values)
                if left_out < 0:
                    raise InputError(f"{printable(path)}: a sparse constant with more values than its shape has")
            zero = 0
            if (
                kind in ("INT8", "UINT8", "INT16")
                and tensor.quantization is not None
                and tensor.quantization.zeroPoint is not None
            ):
                points = tensor.quantization.zeroPoint
                zero = int(points[0]) if len(points) == 1 else 0
            weights.add(_text(tensor.name), shape, kind.lower(), len(raw), values, zero, left_out)
    return weights


def _min_runtime(model: Any) -> str | None:
    """The oldest runtime as the converter wrote it into the metadata; None where a quantizer left it empty."""
    for entry in model.metadata or []:
        if _text(entry.name) == "min_runtime_version":
            data = model.buffers[entry.buffer].data
            version = (
                bytes(np.asarray(data, np.uint8)).rstrip(b"\0").decode(errors="replace").strip()
                if data is not None
                else ""
            )
            return version or None
    return None
