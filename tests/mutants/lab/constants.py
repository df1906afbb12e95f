"""The weights of an artifact as they are stored, to be changed in place: `.tflite`, `.onnx` and TF.js folders alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LINEAR = {
    "tflite": ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
    "onnx": ("Conv", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"),
    "tfjs": ("Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "MatMul", "_FusedMatMul"),
}
ADDING = ("ADD", "Add", "AddV2", "BiasAdd")


@dataclass
class Constant:
    """Stored numbers. `zero` is the stored value that stands for 0 (an array that broadcasts, where channels differ)."""

    values: Array
    zero: Array = field(default_factory=lambda: np.zeros((), np.int64))

    def clear(self) -> None:
        """Make all of them 0."""
        self.values[...] = self.zero

    def negate(self) -> None:
        """Give every number the other sign."""
        kind = self.values.dtype.kind
        if kind == "f":
            self.values *= -1
        elif kind == "u":
            # Their zero lies anywhere, at an end where all have one sign: it is mirrored with them, or they would be cut off.
            most = np.iinfo(self.values.dtype).max
            self.values[...], self.zero[...] = most - self.values, most - self.zero
        else:
            limits = np.iinfo(self.values.dtype)
            self.values[...] = np.clip(2 * self.zero.astype(np.int64) - self.values, limits.min, limits.max)

    def content(self) -> Any:
        """All that a change can change."""
        return self.values.tobytes(), self.zero.tobytes()


@dataclass
class Affine(Constant):
    """Whole numbers of TF.js, read as values * scale + min. Where all have one sign, no stored value stands for 0.

    `reading` is their entry "quantization" in model.json.
    """

    reading: dict[str, Any] = field(kw_only=True)

    def clear(self) -> None:
        """Make all of them 0, which takes another min."""
        self.values[...], self.reading["min"] = 0, 0.0

    def negate(self) -> None:
        """Give every number the other sign: -(q * scale + min) = (most - q) * scale - (min + most * scale)."""
        most = np.iinfo(self.values.dtype).max
        self.values[...] = most - self.values
        self.reading["min"] = -(self.reading["min"] + most * self.reading["scale"])

    def content(self) -> Any:
        """All that a change can change."""
        return self.values.tobytes(), self.reading["min"]


@dataclass
class Weights:
    """An artifact's constants in the order in which the network uses them; `write` makes a file of the changed ones."""

    kernels: list[Constant]
    biases: list[Constant]
    write: Callable[[Path], None]

    def content(self) -> list[Any]:
        """All numbers, to see whether a change changed any."""
        return [constant.content() for constant in (*self.kernels, *self.biases)]


@dataclass
class _Graph:
    """What the three formats have in common: nodes with an operator and names, and constants by name."""

    nodes: list[tuple[str, list[Any], list[Any]]]
    constants: Mapping[Any, Constant]

    def source(self, name: Any) -> Any:
        """The constant that a name is, or is made of by casts, dequantization and reshapes; None where it is computed."""
        makers = {out: inputs for _, inputs, outputs in self.nodes for out in outputs}
        while name not in self.constants:
            if not makers.get(name):
                return None
            name = makers[name][0]
        return name

    def used(self, kind: str) -> tuple[list[Constant], list[Constant]]:
        """Kernels and biases, each once."""
        kernels: dict[Any, None] = {}
        biases: dict[Any, None] = {}
        for operator, inputs, _ in self.nodes:
            if operator in LINEAR[kind] and len(inputs) > 1:
                kernels[self.source(inputs[1])] = None
                # TF.js and TFLite name the bias third; so does ONNX, but its integer operators have zero points there.
                biases.update(dict.fromkeys(self.source(name) for name in inputs[2:3] if "Integer" not in operator))
            if operator in ADDING and len(inputs) == 2:
                biases.update(dict.fromkeys(self.source(name) for name in inputs))
        vectors = [name for name in biases if name in self.constants and self.constants[name].values.size > 1]
        return [self.constants[name] for name in kernels if name is not None], [
            self.constants[name] for name in vectors
        ]


def read(path: Path, kind: str) -> Weights:
    """The constants of an artifact; `path` of a TF.js model is its model.json."""
    return {"tflite": _tflite, "onnx": _onnx, "tfjs": _tfjs}[kind](path)


def _tflite(path: Path) -> Weights:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    graph = model.subgraphs[0]
    types = {schema.TensorType.FLOAT32: "<f4", schema.TensorType.FLOAT16: "<f2", schema.TensorType.INT8: "i1"}
    types |= {schema.TensorType.INT32: "<i4", schema.TensorType.INT64: "<i8"}
    constants = {}
    for index, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None and tensor.type in types:
            values = np.frombuffer(bytes(data), types[tensor.type]).reshape(tensor.shape)
            constants[index] = Constant(values.copy(), _tflite_zero(tensor))
    names = [flatbuffer_utils.opcode_to_name(model, index) for index in range(len(model.operatorCodes))]
    nodes = [(names[item.opcodeIndex], list(item.inputs), list(item.outputs)) for item in graph.operators]

    def write(target: Path) -> None:
        for index, constant in constants.items():
            model.buffers[graph.tensors[index].buffer].data = np.frombuffer(constant.values.tobytes(), np.uint8)
        flatbuffer_utils.write_model(model, str(target))

    return Weights(*_Graph(nodes, constants).used("tflite"), write)


def _tflite_zero(tensor: Any) -> Array:
    points = tensor.quantization.zeroPoint if tensor.quantization else None
    if points is None or not len(points):
        return np.zeros((), np.int64)
    return _along(np.array(points), tensor.quantization.quantizedDimension, len(tensor.shape))


def _onnx(path: Path) -> Weights:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(path))
    held = {item.name: item for item in model.graph.initializer}
    constants = {name: Constant(numpy_helper.to_array(item).copy()) for name, item in held.items()}
    for node in model.graph.node:
        zeros = {"DequantizeLinear": (0, 2), "ConvInteger": (1, 3), "MatMulInteger": (1, 3)}.get(node.op_type)
        if zeros and len(node.input) > zeros[1] and node.input[zeros[0]] in held and node.input[zeros[1]] in held:
            constant = constants[node.input[zeros[0]]]
            # Output channels come first in convolutions, last in products.
            axes = constant.values.ndim
            constant.zero = _along(constants[node.input[zeros[1]]].values, 0 if axes > 2 else axes - 1, axes)
    nodes = [(node.op_type, list(node.input), list(node.output)) for node in model.graph.node]

    def write(target: Path) -> None:
        for name, constant in constants.items():
            held[name].CopyFrom(numpy_helper.from_array(constant.values, name))
        onnx.save(model, str(target))

    return Weights(*_Graph(nodes, constants).used("onnx"), write)


def _along(zeros: Array, axis: int, axes: int) -> Array:
    """A view of zero points, one or one per channel, in a shape that broadcasts."""
    return (
        zeros.reshape(()) if zeros.size == 1 else zeros.reshape([-1 if index == axis else 1 for index in range(axes)])
    )


def _tfjs(path: Path) -> Weights:
    model = json.loads(path.read_text())
    constants: dict[str, Constant] = {}
    groups = model["weightsManifest"]
    for group in groups:
        stream = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        start = 0
        for item in group["weights"]:
            reading = item.get("quantization", {})
            stored = reading.get("dtype", item["dtype"])
            dtype = np.dtype("u1" if stored == "bool" else stored)
            size = int(np.prod(item["shape"])) * dtype.itemsize
            values = np.frombuffer(stream[start : start + size], dtype).reshape(item["shape"]).copy()
            constants[item["name"]] = Affine(values, reading=reading) if "scale" in reading else Constant(values)
            start += size
    topology = model["modelTopology"]["node"]
    # In TF.js a Const is a node of its own; the graph names its output with or without ":0".
    nodes = [
        (node["op"], [_plain(name) for name in node.get("input", [])], [node["name"]])
        for node in topology
        if node["op"] != "Const"
    ]

    def write(target: Path) -> None:
        shutil.copytree(path.parent, target.parent, dirs_exist_ok=True)
        target.write_text(json.dumps(model))
        for group in groups:
            content = b"".join(constants[item["name"]].values.tobytes() for item in group["weights"])
            for name in group["paths"]:
                size = (path.parent / name).stat().st_size
                (target.parent / name).write_bytes(content[:size])
                content = content[size:]

    return Weights(*_Graph(nodes, constants).used("tfjs"), write)


def _plain(name: str) -> str:
    return name.lstrip("^").split(":")[0]
