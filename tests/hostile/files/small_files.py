"""Small models and data, written with one thing odd about them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def write_tflite(path, change):
    """A model of one ADD, as `change(model)` leaves its objects."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name, buffer=0):
        return schema.TensorT(name=name, shape=[2, 2], type=0, buffer=buffer)

    graph = schema.SubGraphT(
        tensors=[tensor("x"), tensor("c", 1), tensor("y")], inputs=[0], outputs=[2],
        operators=[schema.OperatorT(opcodeIndex=0, inputs=[0, 1], outputs=[2])],
    )  # fmt: skip
    values = np.ones(4, np.float32).view(np.uint8)
    model = schema.ModelT(
        version=3, operatorCodes=[schema.OperatorCodeT()], subgraphs=[graph],
        buffers=[schema.BufferT(), schema.BufferT(data=values)],
    )  # fmt: skip
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def write_repeated_tflite(path: Path, graphs: int, tensors: int, name: str = "") -> Path:
    """A model whose graphs are all the same one, and the tensors of that one too: written once, named many times."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builder = flatbuffers.Builder(1 << 20)

    def repeat(start: Callable[[Any, int], None], item: int, times: int) -> int:
        start(builder, times)
        for _ in range(times):
            builder.PrependUOffsetTRelative(item)
        return builder.EndVector()

    text = builder.CreateString(name)
    schema.TensorStart(builder)
    schema.TensorAddName(builder, text)
    of_graph = repeat(schema.SubGraphStartTensorsVector, schema.TensorEnd(builder), tensors)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, of_graph)
    of_model = repeat(schema.ModelStartSubgraphsVector, schema.SubGraphEnd(builder), graphs)
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, of_model)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def weights_entry(paths=("shard.bin",), **changes):
    """An entry of a weights manifest."""
    return {"paths": [*paths], "weights": [{"name": "w", "shape": [4], "dtype": "float32", **changes}]}


def write_tfjs(folder, **changes):
    """A model of one weight, with other keys in its model.json."""
    folder.mkdir(exist_ok=True)
    (folder / "shard.bin").write_bytes(np.ones(4, np.float32).tobytes())
    end = {"dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": "-1"}, {"size": "4"}]}}
    model = {
        "format": "graph-model",
        "modelTopology": {"node": [{"op": "Placeholder"}, {"op": "MatMul"}]},
        "signature": {"inputs": {"x": end}, "outputs": {"y": end}},
        "weightsManifest": [weights_entry()],
        **changes,
    }
    (folder / "model.json").write_text(json.dumps(model))
    return folder


def write_onnx(path, location="beside.bin", **external):
    """A model whose one weight lies in another file."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **external}.items():
        weight.external_data.add(key=key, value=str(value))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "one", ends[:1], ends[1:], [weight])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    assert onnx
    return path


def write_one_operator(path, operator, inputs, **attributes):
    """A model of one operator on a square of floats, `x`, and whole numbers, `i`."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("x", "y")]
    numbers = helper.make_tensor("i", TensorProto.INT64, [3], [0, -1, 2**62])
    node = helper.make_node(operator, inputs, ["y"], **attributes)
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], [numbers])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    return path


def npy_bytes(shape, dtype="'<f4'", size=64):
    """The bytes of an `.npy` with that text as shape, and `size` bytes of numbers."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(size)


def write_npz(path, members, compression=zipfile.ZIP_STORED):
    """A zip file with these members."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
