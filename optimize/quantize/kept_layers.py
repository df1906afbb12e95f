"""Which layers of a quantized file compute in higher precision, read back from the file itself: a recipe only claims it.

Operators are found by the float file that the quantized one was made of, whose names tell their layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeship.bundle.receipt import LayerPrecision
from edgeship.errors import CheckError
from edgeship.formats import flatbuffer
from edgeship.light_dataclass import dataclass

_TYPES = {"float32": flatbuffer.FLOAT32, "int16": flatbuffer.INT16}
# What quantizing puts behind the name of a tensor.
_SUFFIX = re.compile(r"(?:/inner_\d+|_integer)(?=;)")


@dataclass(frozen=True)
class _Operator:
    """Whether an operator computes in int8, and whether a constant kernel is one of its inputs."""

    int8: bool
    weighted: bool


def check(
    path: str, float_model: str, format: str, precision: str, claimed: Sequence[str], layers: Sequence[str]
) -> list[LayerPrecision]:
    """How the `claimed` layers of a quantized file compute, which are to be in `precision`: "float32" or "int16" activations.

    `float_model`: what it was made of (of ONNX, as it was prepared). `layers`: all of the Keras model's. An operator without
    weights between integers of an `.onnx` counts as int8, which a runtime makes of it; nothing is lost there that is not lost
    at its ends. Raises CheckError where a layer is not to be found, an operator with weights is int8, or nothing is in higher
    precision.
    """
    read = _read_tflite if format == "tflite" else _read_onnx
    operators = {layer: read(Path(path), Path(float_model), layer, precision, layers) for layer in claimed}
    wrong = {
        layer: "computes in int8" if items else "has no operator in the file"
        for layer, items in operators.items()
        if not items or any(item.int8 and item.weighted for item in items)
    }
    if not wrong and all(item.int8 for items in operators.values() for item in items):
        wrong = dict.fromkeys(operators, "computes in int8, as its neighbours do")
    if wrong:
        told = "; ".join(f"'{layer}' {what}" for layer, what in list(wrong.items())[:3])
        message = f"{len(wrong)} of {len(claimed)} layer(s) that are to be in {precision} are not: {told}"
        raise CheckError(message).about(wrong)
    return [
        LayerPrecision(layer, precision, sum(not item.int8 for item in items), sum(item.int8 for item in items))
        for layer, items in operators.items()
    ]


def _read_tflite(path: Path, float_model: Path, layer: str, precision: str, layers: Sequence[str]) -> list[_Operator]:
    from edgeship.optimize.quantize.tflite import layers as tflite_layers

    scopes = {
        scope for item in tflite_layers.read(str(float_model), layers) if item.name == layer for scope in item.scopes
    }
    model, found = flatbuffer.unpack(path.read_bytes()), []
    for scope, outputs, inputs in _computing_operators(model):
        kinds = {tensor.type for tensor in outputs}
        if scope in scopes and kinds & {_TYPES[precision], flatbuffer.INT8}:
            weighted = any(model.buffers[tensor.buffer].data is not None for tensor in inputs)
            found.append(_Operator(flatbuffer.INT8 in kinds, weighted))
    return found


def find_float_layers(path: str, scopes: Mapping[str, Sequence[str]]) -> list[str]:
    """The layers of a quantized `.tflite` none of whose operators takes or gives 8 or 16 bits; `scopes`: a layer's, by its name.

    A layer that is not to be found is none of them.
    """
    quantized: dict[str, bool] = {}
    integers = {flatbuffer.INT8, flatbuffer.INT16}
    for scope, *sides in _computing_operators(flatbuffer.unpack(Path(path).read_bytes())):
        holds = any(tensor.type in integers for side in sides for tensor in side)
        quantized[scope] = quantized.get(scope, False) or holds
    known = {name: [quantized[scope] for scope in names if scope in quantized] for name, names in scopes.items()}
    return [name for name, states in known.items() if states and not any(states)]


def _computing_operators(model: Any) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """The scope that an operator has in the float file, its outputs and its inputs; without those that only convert."""
    from litert_quantizer.utils import tfl_flatbuffer_utils

    names = flatbuffer.operator_names(model)
    for graph in model.subgraphs:
        for item in graph.operators or []:
            if names[item.opcodeIndex] not in ("QUANTIZE", "DEQUANTIZE"):
                scope = _SUFFIX.sub("", str(tfl_flatbuffer_utils.get_op_scope(item, graph.tensors)))
                outputs, inputs = (
                    [graph.tensors[index] for index in side if index >= 0] for side in (item.outputs, item.inputs)
                )
                yield scope, outputs, inputs


def _read_onnx(path: Path, float_model: Path, layer: str, precision: str, layers: Sequence[str]) -> list[_Operator]:
    import onnx

    from edgeship.optimize.quantize.onnx import reader

    places, nodes = layer.split(" + "), list[str]()
    while places and not nodes:  # a recurrent layer's cell is inside of its operator
        nodes = reader.nodes_of(float_model, places, layers)
        places = [place.rpartition("/")[0] for place in places if "/" in place]
    prepared = onnx.load(str(float_model), load_external_data=False).graph
    kernels = {item.name for item in prepared.initializer if len(item.dims) > 1 and item.data_type == item.FLOAT}
    weighted = {node.name for node in prepared.node if kernels & {*node.input}}
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    kinds = {item.name: item.type.tensor_type.elem_type for item in (*graph.input, *graph.output, *graph.value_info)}
    kinds |= {item.name: item.data_type for item in graph.initializer}
    producers = {name: node.op_type for node in graph.node for name in node.output}
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    found = []
    for node in graph.node:
        floats = [name for name in node.input if kinds.get(name) == onnx.TensorProto.FLOAT]
        if node.name not in nodes or not floats:
            continue
        reads = all(producers.get(name) == "DequantizeLinear" for name in floats)
        gives = all(readers.get(name) == {"QuantizeLinear"} for name in node.output)
        found.append(_Operator(reads and (gives or node.name in weighted), node.name in weighted))
    return found
