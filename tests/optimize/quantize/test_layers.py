"""Layers of a .tflite under their Keras names: read, quantized one by one, and compared with float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeship.convert.receipts import receipt
from edgeship.optimize.quantize.onnx import layers as onnx_layers
from edgeship.optimize.quantize.onnx import reader

LAYERS = {
    "photo": (
        *("image", "conv2d", "batch_normalization", "max_pooling2d", "depthwise_conv2d", "conv2d_1"),
        *("global_average_pooling2d", "dense"),
    ),
    "leaky": (),
}


def layers_of(lab: Any, name: str) -> dict[str, Any]:
    layers = lab.process.call(
        "edgeship.optimize.quantize.tflite.layers:read", model=lab.model(f"{name}.tflite"), layers=list(LAYERS[name])
    )
    return {layer["name"]: layer for layer in layers}


def mixed(lab: Any, name: str, io: str = "float32", **precisions: list[dict[str, Any]]) -> Path:
    statistics, path = lab.out / f"{name}.json", lab.out / "mixed.tflite"
    if not statistics.exists():
        lab.calibrate(name)
    scopes = {key: [scope for layer in names for scope in layer["scopes"]] for key, names in precisions.items()}
    arguments = {"model": lab.model(f"{name}.tflite"), "out_file": str(path), "statistics": str(statistics), "io": io}
    lab.process.call(
        "edgeship.optimize.quantize.tflite.quantizer:quantize", recipe="static_w8a8", mixed=scopes, **arguments
    )
    return path


def types(path: Path) -> list[tuple[str, set[int]]]:
    """Each operator with the types of what it makes; 0 float32, 7 int16, 9 int8."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    graph = model.subgraphs[0]
    return [
        (flatbuffer_utils.opcode_to_name(model, item.opcodeIndex), {graph.tensors[i].type for i in item.outputs})
        for item in graph.operators
    ]


def test_layers_stand_under_their_keras_names_with_what_was_fused(lab: Any) -> None:
    layers = layers_of(lab, "photo")
    assert "conv2d_1" in layers
    assert "dense" in layers
    assert layers["dense"]["operators"] == ["FULLY_CONNECTED", "SOFTMAX"]
    assert len(layers["dense"]["outputs"]) == 1  # the model's output: its name tells no layer
    assert layers["conv2d_1"]["weight_bytes"] >= 16 * 32 * 4
    names = {name for layer in layers for name in layer.split(" + ")}
    assert names <= set(LAYERS["photo"])


@pytest.mark.parametrize(("precision", "code"), [("float32", 0), ("int16", 7)])
@pytest.mark.parametrize("io", ["int8", "float32"])
def test_one_layer_in_higher_precision(lab: Any, precision: str, code: int, io: str) -> None:
    layer = layers_of(lab, "photo")["dense"]
    codes_by_name = types(mixed(lab, "photo", io, **{precision: [layer]}))
    kinds = {name: codes for name, codes in codes_by_name if name not in ("QUANTIZE", "DEQUANTIZE")}
    assert kinds["FULLY_CONNECTED"] == kinds["SOFTMAX"] == {code}
    assert kinds["DEPTHWISE_CONV_2D"] == {9}
    (output,) = receipt.read(lab.out / "mixed.tflite").outputs
    assert output.dtype == io


def test_one_layer_quantized_alone(lab: Any) -> None:
    layer = layers_of(lab, "photo")["conv2d_1"]
    path = mixed(lab, "photo", int8=[layer])
    types_of_layer = [(name, codes) for name, codes in types(path) if name not in ("QUANTIZE", "DEQUANTIZE")]
    assert sum(9 in codes for _, codes in types_of_layer) == 1
    feeds = lab.feeds("photo")
    reference = lab.run(lab.model("photo.tflite"), feeds)
    whole, _ = lab.tflite("photo", io="float32")
    assert 200 > lab.sqnr(reference, lab.run(path, feeds)) > lab.sqnr(reference, lab.run(whole, feeds))


def test_what_is_left_float_is_not_folded_into_integers_again(lab: Any) -> None:
    """LEAKY_RELU is brought to int8 by edgeship itself, after the quantizer."""
    leaky = [layer for layer in layers_of(lab, "leaky").values() if "LEAKY_RELU" in layer["operators"]]

    def kinds(path: Path) -> list[set[int]]:
        return [codes for name, codes in types(path) if name == "LEAKY_RELU"]

    assert kinds(lab.tflite("leaky")[0]) == [{9}, {9}]
    assert kinds(mixed(lab, "leaky", float32=leaky)) == [{0}, {0}]
    assert kinds(mixed(lab, "leaky", float32=leaky[:1])) == [{0}, {9}]


def test_figures_of_tensors_inside(lab: Any) -> None:
    """The model's own output: the same SQNR as from running both files; every layer has figures."""
    layers = layers_of(lab, "photo")
    path, _ = lab.tflite("photo")
    tensors = [name for layer in layers.values() for name in layer["outputs"]]
    errors = lab.process.call(
        "edgeship.optimize.quantize.tflite.layer_errors:compare",
        model=lab.model("photo.tflite"),
        quantized_model=str(path),
        data=lab.data("photo"),
        tensors=tensors,
        count=128,
    )
    assert set(errors) == set(tensors)
    feeds = lab.feeds("photo")
    expected = lab.sqnr(lab.run(lab.model("photo.tflite"), feeds), lab.run(path, feeds))
    assert errors[layers["dense"]["outputs"][0]]["sqnr_db"] == pytest.approx(expected, abs=0.3)
    assert all(0.9 < figures["cosine"] <= 1 and figures["mse"] >= 0 for figures in errors.values())


def test_tensors_that_became_integer_later_are_followed(lab: Any) -> None:
    layers = layers_of(lab, "leaky")
    path, _ = lab.tflite("leaky")
    output = next(layer["outputs"][0] for layer in layers.values() if "LEAKY_RELU" in layer["operators"])
    figures = lab.process.call(
        "edgeship.optimize.quantize.tflite.layer_errors:compare",
        model=lab.model("leaky.tflite"),
        quantized_model=str(path),
        data=lab.data("leaky"),
        tensors=[output],
        count=40,
    )
    assert figures[output]["sqnr_db"] > 20


def test_layers_of_an_onnx_file_stay_float_by_the_names_of_its_nodes(lab: Any) -> None:
    _, plain = lab.onnx("photo")
    _, result = lab.onnx("photo", file="kept.onnx", float_layers=["dense"], layers=list(LAYERS["photo"]))
    more_islands = set(result["float_islands"]) - set(plain["float_islands"])
    assert more_islands
    assert all("/dense_1/" in island for island in more_islands), more_islands


def test_an_operator_that_tf2onnx_has_renamed_belongs_to_its_layer(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    node, ends = helper.make_node, [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    bias = helper.make_tensor("call/net/first_1/Squeeze:0", TensorProto.FLOAT, [1], [0.0])
    nodes = [
        node("Conv", ["x", "const_1", bias.name], ["a"], "Conv__1"),  # told by its bias
        node("Relu", ["a"], ["b"], "call/net/first_1/Relu"),
        node("Conv", ["b", "const_2"], ["c"], "Conv__2"),  # told by what reads it
        node("Relu", ["c"], ["d"], "call/net/second_1/Relu"),
        node("Transpose", ["d"], ["e"], "Transpose__3"),  # not all that reads it is of one layer
        node("MatMul", ["e", "e"], ["f"], "call/net/third_1/MatMul"),
        node("Add", ["e", "f"], ["y"], "call/net/fourth_1/add"),
    ]
    path = tmp_path / "net.onnx"
    save(helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:], [bias])), path)
    layers = ["first", "second", "third", "fourth"]
    assert reader.nodes_of(path, ["first"], layers) == ["Conv__1", "call/net/first_1/Relu"]
    assert reader.nodes_of(path, ["second"], layers) == ["Conv__2", "call/net/second_1/Relu"]
    assert reader.nodes_of(path, ["third"], layers) == ["call/net/third_1/MatMul"]
    assert "Transpose__3" in reader.nodes_of(path, ["third", "fourth"], layers)


def dense_net(path: Path) -> Path:
    """Two dense layers of a trace in which Keras numbered both, so that the first is called as the second layer is."""
    from onnx import TensorProto, helper, save

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy"]
    kernels = [helper.make_tensor(name, TensorProto.FLOAT, [2, 2], [1.0] * 4) for name in ("const_1", "const_2")]
    nodes = [
        helper.make_node("MatMul", ["x", "const_1"], ["a"], "call/net/dense_1/MatMul"),
        helper.make_node("Neg", ["a"], ["b"], "call/net/dense_1/Neg"),
        helper.make_node("MatMul", ["b", "const_2"], ["c"], "call/net/dense_1_1/MatMul"),
        helper.make_node("Relu", ["c"], ["y"], "call/net/other/Relu"),
    ]
    save(helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:], kernels)), path)
    return path


def test_a_layer_s_operators_are_not_those_of_one_that_the_trace_calls_like_it(tmp_path: Path) -> None:
    path, layers = dense_net(tmp_path / "net.onnx"), ["dense", "dense_1"]
    assert reader.nodes_of(path, ["dense"], layers) == ["call/net/dense_1/MatMul", "call/net/dense_1/Neg"]
    assert reader.nodes_of(path, ["dense_1"], layers) == ["call/net/dense_1_1/MatMul"]
    assert reader.nodes_of(path, ["other"], layers) == ["call/net/other/Relu"]


def test_layers_of_an_onnx_and_which_of_them_a_file_leaves_in_float(tmp_path: Path) -> None:
    path = dense_net(tmp_path / "net.onnx")
    found = {layer.name: layer for layer in onnx_layers.read(str(path), ["dense", "dense_1"])}
    assert list(found) == ["dense", "dense_1", "call/net/other"]
    assert found["dense"].weight_bytes == 16
    both = ["MatMul call/net/dense_1/MatMul", "Neg call/net/dense_1/Neg"]
    assert found["dense"].islands == tuple(both)
    assert found["dense"].is_float(both)
    assert not found["dense"].is_float(both[:1])


def test_which_layers_of_a_tflite_a_file_leaves_in_float(lab: Any) -> None:
    from edgeship.optimize.quantize.tflite import layers as tflite_layers

    found = {layer.name: layer for layer in tflite_layers.read(lab.model("photo.tflite"), list(LAYERS["photo"]))}
    _, kept = lab.tflite("photo", io="float32", mixed={"float32": found["dense"].scopes})
    assert [name for name, layer in found.items() if layer.is_float(kept["float_islands"])] == ["dense"]
