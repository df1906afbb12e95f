"""Layers that a recipe leaves in higher precision are read back from the file: a claim that does not hold is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edgeship.errors import CheckError
from edgeship.optimize.quantize import kept_layers

LAYERS = [
    *("image", "conv2d", "batch_normalization", "max_pooling2d", "depthwise_conv2d", "conv2d_1"),
    *("global_average_pooling2d", "dense"),
]


def tflite_layers(lab: Any) -> dict[str, Any]:
    read = "edgeship.optimize.quantize.tflite.layers:read"
    found = lab.process.call(read, model=lab.model("photo.tflite"), layers=LAYERS)
    return {layer["name"]: layer for layer in found}


def check(path: Path, float_model: str, claimed: list[str], precision: str = "float32") -> list[Any]:
    form = path.suffix.removeprefix(".")
    return kept_layers.check(str(path), float_model, form, precision, claimed, LAYERS)


@pytest.mark.parametrize("precision", ["float32", "int16"])
@pytest.mark.parametrize("io", ["int8", "float32"])
def test_what_a_tflite_keeps_is_read_from_it(precision: str, io: str, lab: Any) -> None:
    model, found = lab.model("photo.tflite"), tflite_layers(lab)
    kept = [name for name in found if "dense" in name or "depthwise" in name]
    scopes = [scope for name in kept for scope in found[name]["scopes"]]
    path, _ = lab.tflite("photo", io=io, mixed={precision: scopes})
    rows = check(path, model, kept, precision)
    assert [(row.layer, row.int8) for row in rows] == [(name, 0) for name in kept]
    assert {row.layer: row.kept for row in rows}["dense"] == 2  # FULLY_CONNECTED and SOFTMAX
    every = {name: layer["scopes"] for name, layer in found.items()}
    assert kept_layers.find_float_layers(str(path), every) == (kept if precision == "float32" else [])
    with pytest.raises(CheckError, match="'conv2d_1' computes in int8") as caught:
        check(path, model, [*kept, "conv2d_1"], precision)
    assert caught.value.layers == ("conv2d_1",)
    with pytest.raises(CheckError, match=r"1 of 1 .* 'dense' computes in int8"):
        check(lab.tflite("photo", io=io, file="plain.tflite")[0], model, ["dense"])
    assert kept_layers.find_float_layers(str(lab.out / "plain.tflite"), {**every, "gone": ["x"]}) == []


def test_what_an_onnx_keeps_is_read_from_it(lab: Any) -> None:
    path, _ = lab.onnx("photo", file="kept.onnx", float_layers=["dense", "conv2d"], layers=LAYERS)
    plain, _ = lab.onnx("photo")
    prepared = str(lab.out / "photo.onnx.onnx")
    rows = check(path, prepared, ["dense", "conv2d"])
    assert all(row.kept and not row.int8 for row in rows)
    with pytest.raises(CheckError, match="'dense' computes in int8"):
        check(plain, prepared, ["dense"])
    with pytest.raises(CheckError, match="'conv2d_1' computes in int8"):
        check(path, prepared, ["dense", "conv2d_1"])
    # Without weights and between integers it is the same file as without the claim.
    with pytest.raises(CheckError, match="'max_pooling2d' computes in int8, as its neighbours do"):
        check(plain, prepared, ["max_pooling2d"])
    assert check(path, prepared, ["dense", "max_pooling2d"])[1].int8 == 1


def test_a_layer_whose_operators_are_not_found_is_a_miss(tmp_path: Path, lab: Any) -> None:
    """tf2onnx gives what it rewrites names of its own: then no operator stayed float, and the file was that of plain int8."""
    lab.onnx("photo")
    prepared = onnx.load(lab.out / "photo.onnx.onnx")
    for number, node in enumerate(prepared.graph.node):
        node.name = f"{node.op_type}__{number}"
    for node in prepared.graph.node:
        for names in (node.input, node.output):
            names[:] = [name.replace("dense", "renamed") for name in names]
    for item in prepared.graph.initializer:
        item.name = item.name.replace("dense", "renamed")
    onnx.save(prepared, tmp_path / "prepared.onnx")
    with pytest.raises(CheckError, match="'dense' has no operator in the file"):
        check(lab.onnx("photo")[0], str(tmp_path / "prepared.onnx"), ["dense"])


def test_the_cell_of_a_recurrent_layer_is_inside_of_its_operator(tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["t", 1, 1]) for name in "xy"]
    weights = [helper.make_tensor(name, TensorProto.FLOAT, [1, 4, 1], [0.1] * 4) for name in "wr"]
    node = helper.make_node("LSTM", ["x", "w", "r"], ["h"], "net/bi_1/LSTM", hidden_size=1)
    squeeze = helper.make_node("ReduceMax", ["h"], ["y"], "net/bi_1/Max", axes=[1], keepdims=0)
    graph = helper.make_graph([node, squeeze], "g", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "lstm.onnx")
    path = str(tmp_path / "lstm.onnx")
    (row,) = kept_layers.check(path, path, "onnx", "float32", ["bi/lstm_cell"], ["bi", "lstm_cell"])
    assert row.kept == 2 and row.int8 == 0
