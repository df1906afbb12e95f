"""A scaling in mid-network behind which int8 has no step left for most features."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgeship.optimize.quantize.onnx import quantizer, scaling_fold

N, FEATURES, UNITS = 300, 24, 6


def _write(path: Path, scale: np.ndarray, kernel: np.ndarray, *, transposed: bool = False, twice: bool = False) -> Path:
    """x -> dense -> Relu -> Mul by `scale` -> dense `kernel` -> y; `twice`: the product is an output, too."""
    rng = np.random.default_rng(0)
    constants = {"first": rng.normal(size=(FEATURES, FEATURES)), "scale": scale, "bias": np.zeros(UNITS)}
    constants["kernel"] = kernel.T if transposed else kernel
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["hidden"], "one"),
        helper.make_node("Relu", ["hidden"], ["kept"], "relu"),
        helper.make_node("Mul", ["kept", "scale"], ["scaled"], "blow"),
        helper.make_node("Gemm", ["scaled", "kernel", "bias"], ["y"], "two", transB=int(transposed)),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, size])
            for name, size in (("x", FEATURES), ("y", UNITS), ("scaled", FEATURES))]  # fmt: skip
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1 : 3 if twice else 2], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def _run(path: Path, x: np.ndarray) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["y"], {"x": x})[0]


def _operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


@pytest.fixture
def blown() -> tuple[np.ndarray, np.ndarray]:
    """Two features are made 400 times larger, and the kernel takes it back."""
    scale = np.where(np.arange(FEATURES) < 2, 400.0, 1.0)
    return scale, np.random.default_rng(1).normal(size=(FEATURES, UNITS)) / scale[:, None]


@pytest.mark.parametrize("transposed", [False, True])
def test_features_beside_larger_ones_survive_int8(blown, tmp_path, transposed):
    x = np.random.default_rng(2).normal(size=(N, FEATURES)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x)
    model = _write(tmp_path / "float.onnx", *blown, transposed=transposed)
    expected = _run(model, x)
    statistics = tmp_path / "statistics.json"
    quantizer.calibrate(str(model), str(tmp_path / "data.npz"), str(statistics))
    assert "Mul" not in _operators(statistics.with_suffix(".onnx"))
    np.testing.assert_allclose(_run(statistics.with_suffix(".onnx"), x), expected, rtol=1e-4, atol=1e-4)
    quantizer.quantize(str(model), str(tmp_path / "int8.onnx"), "static_w8a8", statistics=str(statistics))
    error = _run(tmp_path / "int8.onnx", x) - expected
    assert 10 * np.log10(np.square(expected).sum() / np.square(error).sum()) > 30  # it was 6


def test_what_gains_nothing_is_decided_elsewhere_or_is_read_stays(blown, tmp_path):
    scale, kernel = blown
    cases = {
        "gains nothing": (_write(tmp_path / "a.onnx", np.full(FEATURES, 3.0), kernel), ()),
        "the kernel would lose": (_write(tmp_path / "b.onnx", 1 / scale, kernel), ()),
        "at the inputs": (_write(tmp_path / "c.onnx", scale, kernel), ("scaled",)),
        "is an output": (_write(tmp_path / "d.onnx", scale, kernel, twice=True), ()),
        "of no feature": (_write(tmp_path / "e.onnx", np.array([400.0]), kernel), ()),
    }
    for name, (path, at_inputs) in cases.items():
        before = shutil.copy(path, tmp_path / "before.onnx")
        scaling_fold.fold_scalings(path, at_inputs)
        assert path.read_bytes() == Path(before).read_bytes(), name


def test_a_stack_of_kernels_stays_float_where_activations_are_quantized_at_run_time(tmp_path):
    """That of an EinsumDense, a kernel per token: the file did not run, 'DynamicQuantizeMatMul'."""
    kernels = np.random.default_rng(0).normal(size=(4, FEATURES, UNITS)).astype(np.float32)
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 4, size])
            for name, size in (("x", FEATURES), ("y", UNITS))]  # fmt: skip
    last = numpy_helper.from_array(np.eye(UNITS, dtype=np.float32), "last")
    nodes = [
        helper.make_node("MatMul", ["x", "stack"], ["h"], "one"),
        helper.make_node("MatMul", ["h", "last"], ["y"], "two"),
    ]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [numpy_helper.from_array(kernels, "stack"), last])
    model = tmp_path / "float.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(model))
    quantizer.quantize(str(model), str(tmp_path / "dynamic.onnx"), "dynamic_w8")
    x = np.random.default_rng(2).normal(size=(1, 4, FEATURES)).astype(np.float32)
    expected = _run(model, x)
    error = _run(tmp_path / "dynamic.onnx", x) - expected
    assert 10 * np.log10(np.square(expected).sum() / np.square(error).sum()) > 30
    assert any("Integer" in kind or "Quantize" in kind for kind in _operators(tmp_path / "dynamic.onnx"))
