"""Weights in blocks of 4 bits, as the runtimes read them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeship.convert.receipts import receipt
from edgeship.errors import InputError
from edgeship.optimize.quantize.onnx import four_bits


def from_codes(codes, scales, features):
    """The values that codes stand for: (code - 8) * scale."""
    values = np.stack([codes & 15, codes >> 4], axis=-1).reshape(*scales.shape, four_bits.BLOCK).astype(np.float32) - 8
    return (values * scales[..., None]).reshape(len(codes), -1)[:, :features]


@pytest.mark.parametrize("shape", [(4, 32), (3, 45), (2, 128)])
def test_every_value_is_within_half_a_step_but_at_the_far_end(shape):
    rows = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    rows[0, :32] = 0
    codes, scales = four_bits.quantize_blocks(rows)
    error = np.abs(from_codes(codes, scales, shape[1]) - rows)
    steps = np.repeat(np.abs(scales), four_bits.BLOCK, axis=1)[:, : shape[1]]
    assert (error <= steps * 1.001).all()
    assert (error <= steps / 2 * 1.001).mean() > 0.9
    assert not error[0, :32].any()


@pytest.mark.parametrize("recipe", ["weight_only_w4", "dynamic_w4"])
def test_onnx_runtime_reads_the_codes_as_they_are_meant(recipe, tmp_path):
    random = np.random.default_rng(2)
    table, kernel = (random.standard_normal(shape).astype(np.float32) for shape in ((20, 64), (64, 24)))
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "kernel"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info("ids", TensorProto.INT32, ["n"]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 24]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in (("table", table), ("kernel", kernel))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "f.onnx")
    four_bits.store_four_bits(str(tmp_path / "f.onnx"), tmp_path / "q.onnx", recipe)
    ids = np.arange(20, dtype=np.int32)
    (found,) = onnxruntime.InferenceSession(tmp_path / "q.onnx").run(None, {"ids": ids})
    rows = from_codes(*four_bits.quantize_blocks(table), 64)
    meant = rows @ from_codes(*four_bits.quantize_blocks(kernel.T), 64).T
    np.testing.assert_allclose(found, meant, atol=1e-4 if recipe == "weight_only_w4" else 0.05 * np.abs(meant).max())
    kinds = receipt.read(tmp_path / "q.onnx").weights.dtypes
    assert kinds["uint4"] == 20 * 64 + 64 * 24


@pytest.mark.parametrize("recipe", ["weight_only_w4", "dynamic_w4"])
def test_dense_layers_of_an_onnx_answer_in_4_bits(recipe, lab):
    path, report = lab.onnx("table", recipe)
    feeds = lab.feeds("table")
    assert 17 < lab.sqnr(lab.run(lab.model("table.onnx"), feeds), lab.run(path, feeds)) < 35
    held = receipt.read(path)
    assert held.ops["MatMulNBits"] == 1  # of 64 features; the first layer has 12, the last one 64 * 3 weights
    assert held.weights.dtypes["uint4"] == 64 * 64
    assert not any("scales" in note for note in report["notes"])


def test_dense_layers_of_a_tflite_answer_in_4_bits(lab):
    feeds, path = lab.feeds("table"), lab.tflite("table", "dynamic_w4")[0]
    assert 17 < lab.sqnr(lab.run(lab.model("table.tflite"), feeds), lab.run(path, feeds)) < 35
    held = receipt.read(path)
    assert held.weights.dtypes["int4"] == 64 * 64
    assert held.op_versions["FULLY_CONNECTED"] >= 14  # LiteRT 1.4 refuses it, and would answer wrongly
    assert held.hybrid_op_share == 1


def test_what_has_no_layer_of_a_block_is_refused(lab):
    for quantize in (lab.onnx, lab.tflite):
        with pytest.raises(InputError, match=r"no dense layer .*32 features .*1,024 weights .*: ask for dynamic_w8"):
            quantize("four", "dynamic_w4")


@pytest.mark.parametrize("recipe", ["weight_only_w4", "dynamic_w4"])
def test_a_small_layer_behind_one_of_4_bits_has_more(recipe, lab):
    """It gains next to nothing, and is most often the last one, whose errors nothing evens out."""
    random = np.random.default_rng(2)
    kernels = [random.standard_normal(shape).astype(np.float32) for shape in ((64, 32), (32, 1), (1,))]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 64), ("y", 1))]
    constants = [
        numpy_helper.from_array(value, name) for name, value in zip(("first", "second", "bias"), kernels, strict=True)
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    path = lab.out / "price.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    quantized, _ = lab.onnx("price", recipe, model=str(path))
    held = receipt.read(quantized)
    assert held.weights.dtypes["uint4"] == 64 * 32
    assert held.ops.get("MatMulInteger", 0) == (recipe == "dynamic_w4")
    feeds = {"x": random.standard_normal((128, 64)).astype(np.float32)}
    assert lab.sqnr(lab.run(path, feeds), lab.run(quantized, feeds)) > 17
