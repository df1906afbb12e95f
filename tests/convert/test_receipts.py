"""Receipts tell what a file holds, and the checks find what is wrong with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from edgeship.convert.export import export
from edgeship.convert.receipts import receipt
from edgeship.convert.receipts.receipt import ExpectedArtifact
from edgeship.errors import CheckError, InputError
from tests.present import present


@pytest.fixture(scope="module")
def artifacts(tensorflow, zoo, tmp_path_factory):
    """`sequential` in the three formats: what its export tells, and the folder with m.tflite, m.onnx and tfjs."""
    folder = tmp_path_factory.mktemp("artifacts")
    description = tensorflow.call(export.run, model=zoo("sequential"), out=str(folder / "export"))
    place = {"saved_model": str(folder / "export")}
    tensorflow.call("edgeship.convert.tflite.convert:run", **place, out_file=str(folder / "m.tflite"))
    tensorflow.call("edgeship.convert.onnx.convert:run", **place, out_file=str(folder / "m.onnx"))
    tensorflow.call("edgeship.convert.tfjs.convert:run", **place, out_dir=str(folder / "tfjs"))
    return description, folder


FILES = ("m.tflite", "m.onnx", "tfjs")


@pytest.mark.parametrize("name", FILES)
def test_every_weight_is_counted(name, artifacts):
    description, folder = artifacts
    held = receipt.read(folder / name, kernels=description.kernel_elements)
    # 8 x 9 convolution and 8 x 3 dense kernel; batch norm is folded into the bias or follows as factors.
    assert description.kernel_elements == 8 * 9 + 8 * 3
    assert 1.0 <= present(held.weights.share) < 1.6
    assert held.weights.sparsity is not None
    assert not held.variable_ops


def test_lost_variables_are_found(artifacts, tensorflow, zoo, tmp_path):
    description, _ = artifacts
    tensorflow.call("zoo:lose_variables", model=zoo("sequential"), out_file=str(tmp_path / "lost.tflite"))
    held = receipt.read(tmp_path / "lost.tflite", kernels=description.kernel_elements)
    assert present(held.weights.share) < 0.5
    with pytest.raises(CheckError, match="READ_VARIABLE"):
        receipt.check(held, ExpectedArtifact(description))


def _fewer_weights(held, expected):
    return replace(held, weights=replace(held.weights, elements=100)), expected


def _change(specs, **changes):
    return (replace(specs[0], **changes), *specs[1:])


def _other_name(held, expected):
    return replace(held, outputs=_change(held.outputs, name="StatefulPartitionedCall")), expected


def _other_dtype(held, expected):
    return replace(held, inputs=_change(held.inputs, dtype="int8")), expected


def _integer_without_scale(held, expected):
    inputs, outputs = (_change(specs, dtype="int8") for specs in (held.inputs, held.outputs))
    return replace(held, inputs=inputs, outputs=outputs), replace(expected, io="int8")


def _other_rank(held, expected):
    return replace(held, outputs=_change(held.outputs, shape=(None,))), expected


def _flex(held, expected):
    return replace(held, flex_ops=("FlexSvd",)), expected


def _custom(held, expected):
    return replace(held, custom_ops=("MyOp",)), expected


def _not_int8(held, expected):
    return held, replace(expected, variant="int8")


def _not_float16(held, expected):
    return held, replace(expected, variant="float16")


def _not_dynamic(held, expected):
    return held, replace(expected, variant="dynamic_w8")


BREAK = [
    (_fewer_weights, "weights were lost"),
    (_other_name, "StatefulPartitionedCall"),
    (_other_dtype, "is int8"),
    (_integer_without_scale, "without scale"),
    (_other_rank, "shape"),
    (_flex, "FlexSvd"),
    (_custom, "MyOp"),
    (_not_int8, "0% of its ops.*leave tflite out of the variant"),
    (_not_float16, "no float16 weight"),
    (_not_dynamic, "no 8-bit weight"),
]


@pytest.mark.parametrize(("spoil", "says"), BREAK, ids=lambda item: getattr(item, "__name__", ""))
def test_each_check_finds_its_fault(spoil, says, artifacts):
    description, folder = artifacts
    expected = ExpectedArtifact(replace(description, kernel_elements=9 * 8 * 4))
    held = receipt.read(folder / "m.tflite")
    held = replace(held, weights=replace(held.weights, elements=9 * 8 * 4))
    receipt.check(held, expected)
    with pytest.raises(CheckError, match=says):
        receipt.check(*spoil(held, expected))


def test_int8_is_seen(artifacts, tmp_path):
    """A full-integer file made by LiteRT's quantizer: share of int8 ops, border dtypes, scale and zero point."""
    quantizer = pytest.importorskip("litert_quantizer")
    from litert_quantizer import recipe

    _, folder = artifacts
    work = quantizer.quantizer.Quantizer(str(folder / "m.tflite"), recipe.static_wi8_ai8())
    samples = np.random.default_rng(0).random((8, 1, 1000, 1), np.float32)
    statistics = work.calibrate({"serving_default": [{"input_layer": sample} for sample in samples]})
    work.quantize(statistics).export_model(str(tmp_path / "int8.tflite"))
    held = receipt.read(tmp_path / "int8.tflite")
    assert held.int8_op_share > 0.5
    assert held.weights.dtypes["int8"] >= 8 * 9 + 8 * 3
    assert all(": " in island for island in held.float_islands)


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
    held = receipt.read(tmp_path / "m.onnx", "onnx").weights
    assert held.dtypes["uint8"] >= 128
    assert held.sparsity == 0.5
