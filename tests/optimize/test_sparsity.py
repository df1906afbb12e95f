"""Sparsity as it is read back from an artifact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeship.convert.receipts.sparsity import check
from edgeship.errors import CheckError


@pytest.fixture
def sparse(tmp_path: Path) -> str:
    """An .onnx with one kernel of 24 values, half of them zero, and a dense one of 24."""
    kernel = np.arange(1, 25, dtype=np.float32).reshape(4, 6)
    half = np.where(kernel > 12, 0, kernel).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "a"], ["h"]), helper.make_node("MatMul", ["h", "b"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])]
    constants = [numpy_helper.from_array(half, "a"), numpy_helper.from_array(kernel.reshape(6, 4), "b")]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, constants)), tmp_path / "m.onnx")
    return str(tmp_path / "m.onnx")


def row(asked: float, values: int = 24) -> dict[str, object]:
    return {"tensor": f"kernel{asked}", "asked": asked, "values": values}


def test_each_kernel_is_found_by_its_size(sparse: str) -> None:
    assert [found.artifact for found in check(sparse, "onnx", [row(0.5), row(0)])] == [0.5, 0]


def test_fewer_zeros_than_asked_is_an_error(sparse: str) -> None:
    with pytest.raises(CheckError, match=r"kernel0.9 50.0% of 90.0%"):
        check(sparse, "onnx", [row(0.9)])
    with pytest.raises(CheckError, match=r"fewer zeros in the artifact than were asked for: kernel0.4 0.0% of 40.0%"):
        check(sparse, "onnx", [row(0.5), row(0.4)])


def test_what_cannot_be_read_back_has_a_reason(sparse: str) -> None:
    (missing,) = check(sparse, "onnx", [row(0.5, values=23)])
    assert missing.artifact is None
    assert "no constant of that size" in missing.reason
    assert check(sparse, "tfjs", [row(0.5)])[0].reason == "edgeship does not read the weights of tfjs back"


def test_a_tflite_file_with_integer_weights(models: Path) -> None:
    rows = check(str(models / "table-mlir.tflite"), "tflite", [row(0, values=64 * 64)])
    assert rows[0].artifact == pytest.approx(0, abs=0.05)
