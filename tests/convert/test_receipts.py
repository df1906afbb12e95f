"""Receipts tell what a file holds, and the checks find what is wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgeship.bundle.receipt import Receipt
from edgeship.convert.receipts import receipt
from edgeship.errors import CheckError, InputError
from tests.convert.expectations import expected_artifact


@pytest.fixture(scope="module")
def artifacts(tensorflow, zoo, tmp_path_factory):
    """`sequential` in the three formats: the export and the folder with m.tflite, m.onnx and tfjs."""
    folder = tmp_path_factory.mktemp("artifacts")
    export = tensorflow.call("edgeship.convert.export.export:run", model=zoo("sequential"), out=str(folder / "export"))
    place = {"saved_model": str(folder / "export")}
    tensorflow.call("edgeship.convert.tflite.convert:run", **place, out_file=str(folder / "m.tflite"))
    tensorflow.call("edgeship.convert.onnx.convert:run", **place, out_file=str(folder / "m.onnx"))
    tensorflow.call("edgeship.convert.tfjs.convert:run", **place, out_dir=str(folder / "tfjs"))
    return export, folder


FILES = ("m.tflite", "m.onnx", "tfjs")


@pytest.mark.parametrize("name", FILES)
def test_every_weight_is_counted(name, artifacts):
    export, folder = artifacts
    artifact = receipt.read(folder / name, None, sum(export["weights"]["kernels"]))
    # 8 x 9 convolution and 8 x 3 dense kernel; batch norm is folded into the bias or follows as factors.
    assert sum(export["weights"]["kernels"]) == 8 * 9 + 8 * 3
    assert artifact.weights.share is not None
    assert 1.0 <= artifact.weights.share < 1.6
    assert artifact.weights.sparsity is not None
    assert not artifact.variable_ops


def test_lost_variables_are_found(artifacts, tensorflow, zoo, tmp_path):
    export, _ = artifacts
    tensorflow.call("zoo:lose_variables", model=zoo("sequential"), out_file=str(tmp_path / "lost.tflite"))
    artifact = receipt.read(tmp_path / "lost.tflite", None, sum(export["weights"]["kernels"]))
    assert artifact.weights.share is not None
    assert artifact.weights.share < 0.5
    with pytest.raises(CheckError, match="READ_VARIABLE"):
        receipt.check(artifact, expected_artifact(export))


def with_weights(artifact: Receipt, elements: int) -> Receipt:
    return replace(artifact, weights=replace(artifact.weights, elements=elements))


def with_border(artifact: Receipt, side: str, **changes: Any) -> Receipt:
    return replace(artifact, **{side: (replace(getattr(artifact, side)[0], **changes),)})


# What is wrong with an artifact, or else was asked for.
FAULTS: dict[str, tuple[Callable[[Receipt], Receipt], dict[str, Any], str]] = {
    "fewer weights": (lambda artifact: with_weights(artifact, 100), {}, "weights were lost"),
    "another name": (
        lambda artifact: with_border(artifact, "outputs", name="StatefulPartitionedCall"),
        {},
        "StatefulPartitionedCall",
    ),
    "another dtype": (lambda artifact: with_border(artifact, "inputs", dtype="int8"), {}, "is int8"),
    "integers without a scale": (
        lambda artifact: with_border(with_border(artifact, "inputs", dtype="int8"), "outputs", dtype="int8"),
        {"io": "int8"},
        "without scale",
    ),
    "another rank": (lambda artifact: with_border(artifact, "outputs", shape=(None,)), {}, "shape"),
    "flex": (lambda artifact: replace(artifact, flex_ops=("FlexSvd",)), {}, "FlexSvd"),
    "custom": (lambda artifact: replace(artifact, custom_ops=("MyOp",)), {}, "MyOp"),
    "not int8": (lambda artifact: artifact, {"variant": "int8"}, "0% of its ops.*leave tflite out of the variant"),
    "not float16": (lambda artifact: artifact, {"variant": "float16"}, "no float16 weight"),
    "not dynamic": (lambda artifact: artifact, {"variant": "dynamic_w8"}, "no 8-bit weight"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_check_finds_its_fault(name, artifacts):
    spoil, options, says = FAULTS[name]
    export, folder = artifacts
    artifact = with_weights(receipt.read(folder / "m.tflite"), 9 * 8 * 4)
    expected = replace(expected_artifact(export), kernels=9 * 8 * 4)
    receipt.check(artifact, expected)
    with pytest.raises(CheckError, match=says):
        receipt.check(spoil(artifact), replace(expected, **options))


def test_int8_is_seen(artifacts, tmp_path):
    """A full-integer file made by LiteRT's quantizer: share of int8 ops, border dtypes, scale and zero point."""
    quantizer = pytest.importorskip("litert_quantizer")
    from litert_quantizer import recipe

    _, folder = artifacts
    work = quantizer.quantizer.Quantizer(str(folder / "m.tflite"), recipe.static_wi8_ai8())
    samples = np.random.default_rng(0).random((8, 1, 1000, 1), np.float32)
    statistics = work.calibrate({"serving_default": [{"input_layer": sample} for sample in samples]})
    work.quantize(statistics).export_model(str(tmp_path / "int8.tflite"))
    artifact = receipt.read(tmp_path / "int8.tflite")
    assert artifact.int8_op_share > 0.5
    assert artifact.weights.dtypes["int8"] >= 8 * 9 + 8 * 3
    assert all(": " in island for island in artifact.float_islands)


@pytest.mark.parametrize("name", FILES)
def test_damaged_artifacts_are_refused(name, artifacts, tmp_path):
    _, folder = artifacts
    copied = tmp_path / name
    if name == "tfjs":
        shutil.copytree(folder / name, copied)
        shard = next(copied.glob("*.bin"))
        shard.write_bytes(shard.read_bytes()[:-8])
    else:
        copied.write_bytes((folder / name).read_bytes()[:900])
    with pytest.raises(InputError):
        receipt.read(copied)
    with pytest.raises(InputError, match="no such file"):
        receipt.read(tmp_path / "nothing")


def test_inspect(artifacts, tmp_path):
    from edgeship.cli.bundles.inspect import inspect

    _, folder = artifacts
    shown = CliRunner().invoke(inspect, [str(folder / "m.tflite")], catch_exceptions=False).output
    assert "input_layer: ?x1000x1 float32" in shown
    assert "dense: ?x3 float32" in shown
    assert "CONV_2D" in shown
    for name in FILES:
        CliRunner().invoke(inspect, [str(folder / name), "--json", str(tmp_path / "out.json")], catch_exceptions=False)
        written = json.loads((tmp_path / "out.json").read_text())
        assert written["schema"] == 1
        assert written["artifacts"][name]["outputs"][0]["name"] == "dense"


@pytest.mark.parametrize(
    ("values", "zeros"),
    [
        ([0.0, 0.5, 0.0, -2.0], 0.5),
        ([0.3], 0.0),  # a single value is stored as 0, with itself as the least
        ([-0.3], 0.0),
        ([0.0], 1.0),
        ([0.001, 1.0], 0.0),  # of one sign: no stored number stands for 0
        ([0.5, 1.0], 0.0),
        ([-1.0, -0.001], 0.0),
        ([-1.0, -0.5], 0.0),
        ([0.0, 1.0], 0.5),
        ([-1.0, 0.0], 0.5),
    ],
)
def test_the_zeros_of_quantized_tfjs_weights(values, zeros, tfjs_quantization, tmp_path):
    stored, reading = tfjs_quantization.quantize_weights(np.resize(np.array(values, np.float32), 64), np.uint8)
    (tmp_path / "shard.bin").write_bytes(stored.tobytes())
    quantization = {"dtype": "uint8", "original_dtype": "float32", **reading}
    weight = {"name": "w", "shape": [64], "dtype": "float32", "quantization": quantization}
    model = {
        "modelTopology": {"node": []},
        "signature": {"inputs": {}, "outputs": {}},
        "weightsManifest": [{"paths": ["shard.bin"], "weights": [weight]}],
    }
    (tmp_path / "model.json").write_text(json.dumps(model))
    assert receipt.read(tmp_path, "tfjs").weights.sparsity == zeros


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
def test_the_zeros_of_unsigned_onnx_weights(kind, per_channel, tmp_path):
    """Half of a kernel in uint8, which has other zero points in every channel."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kernel = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    kernel[::2] = 0
    if kind == "Conv":
        kernel = np.ascontiguousarray(kernel.T).reshape(8, 16, 1, 1)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    node = helper.make_node(kind, ["x", "kernel"], ["y"])
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], [numpy_helper.from_array(kernel, "kernel")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, tmp_path / "float.onnx")
    quantize_dynamic(
        tmp_path / "float.onnx", tmp_path / "m.onnx", per_channel=per_channel, weight_type=QuantType.QUInt8
    )
    weights = receipt.read(tmp_path / "m.onnx", "onnx").weights
    assert weights.dtypes["uint8"] >= 128
    assert weights.sparsity == 0.5
