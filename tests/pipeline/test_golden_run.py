"""Runs on the goldens begin as artifacts are made, whatever comes first, and end with the conversion."""

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeship.bundle.receipt import Receipt
from edgeship.pipeline import golden_run
from edgeship.pipeline.conversion.source import ConversionResult, ConvertedArtifact
from edgeship.pipeline.golden_inputs import GoldenInputs
from edgeship.storage.cache import Cache
from edgeship.types import Artifact, TensorSpec

SPEC = TensorSpec("image", (None, 8, 8, 1), "float32")
OUTPUT = TensorSpec("probs", (None, 10), "float32")


@pytest.fixture
def work(tmp_path):
    notes: list[str] = []
    return SimpleNamespace(cache=Cache(tmp_path / "cache"), progress=SimpleNamespace(note=notes.append), notes=notes)


@pytest.fixture
def made(tiny_models):
    artifact = Artifact(tiny_models / "cnn.tflite", "tflite", "float32", (SPEC,), (OUTPUT,), ())
    return ConvertedArtifact(artifact, Receipt("tflite"), "digest")


@pytest.fixture
def golden(tiny_models):
    with np.load(tiny_models / "expected.npz") as stored:
        inputs, outputs = stored["cnn/inputs/image"], stored["cnn/outputs/probs"]
    return GoldenInputs((SPEC,), {"image": inputs}, {"probs": outputs}, None)


def futures(count: int) -> list[Future[Any]]:
    return [Future() for _ in range(count)]


def conversion(made: ConvertedArtifact, folder: Path) -> ConversionResult:
    server: Any = None  # what it is does not matter here
    return ConversionResult(server, (made,), folder)


def done(value):
    future: Future[Any] = Future()
    future.set_result(value)
    return future


@pytest.mark.parametrize("first", ["made", "answered", "neither"])
def test_whichever_comes_first_each_artifact_is_run_once(work, made, golden, tmp_path, first):
    making, answered = futures(2)
    with golden_run.GoldenRuns(work, answered) as runs:
        runs.follow([making] if first != "neither" else [])
        for name in ("made", "answered") if first == "made" else ("answered", "made"):
            future, value = (making, made) if name == "made" else (answered, golden)
            future.set_result(value)
        found = runs.write(tmp_path / "goldens", conversion(made, tmp_path))
    run = found["tflite/float32"]
    assert run.runtime == "litert"
    assert {item.kernels: item.samples > 0 for item in run.kernels} == {"without-delegates": True, "reference": True}
    assert (tmp_path / "goldens" / "tflite-float32.npz").is_file()
    assert not work.notes


def test_what_is_made_or_answered_after_the_end_is_left_alone(work, made, golden, caplog):
    making, answered, late = futures(3)
    with golden_run.GoldenRuns(work, answered) as runs:
        runs.follow([making, late])
        making.set_result(made)
    answered.set_result(golden)
    late.set_result(made)
    assert not caplog.records, "an exception in a callback is only logged"


def graph(folder, operators, output_shape):
    """An ONNX model of these operators, x (n, 4) in, y out."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)
    model = helper.make_model(
        helper.make_graph(operators, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize(
    ("operators", "shape", "expected"),
    [
        ([helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)], [], lambda x: x.mean()),
        ([helper.make_node("ReduceMax", ["x"], ["y"], axes=[0])], [1, 4], lambda x: x.max(0, keepdims=True)),
        (
            [helper.make_node("Transpose", ["x"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])],
            ["n", "n"],
            lambda x: x @ x.T,
        ),
    ],
    ids=["a number", "over the batch", "pairs of samples"],
)
@pytest.mark.parametrize("kernels", ["unoptimized", "reference"])
def test_outputs_without_a_sample_per_row_are_compared_on_the_same_inputs(
    work, tmp_path, monkeypatch, operators, shape, expected, kernels
):
    monkeypatch.setattr(golden_run, "SLOW_KERNELS", ("unoptimized",) if kernels == "reference" else ())
    path = graph(tmp_path, operators, shape)
    specs = (TensorSpec("x", (None, 4), "float32"),), (TensorSpec("y", (None,), "float32"),)
    made = ConvertedArtifact(Artifact(path, "onnx", "int8", *specs, ()), Receipt("onnx", int8_op_share=1.0), kernels)
    x = np.random.default_rng(0).random((16, 4), np.float32)
    golden = GoldenInputs(specs[0], {"x": x}, {"y": np.asarray(expected(x))}, None)
    with golden_run.GoldenRuns(work, done(golden)) as runs:
        (found,) = runs.write(tmp_path / "goldens", conversion(made, tmp_path))["onnx/int8"].kernels
    assert found.spread is not None
    assert found.spread["y"] < 1e-5, found


def test_what_could_not_be_made_or_answered_is_not_run(work, made, golden, caplog):
    failed, unanswered = futures(2)
    failed.set_exception(ValueError("not made"))
    unanswered.set_exception(ValueError("no answers"))
    with golden_run.GoldenRuns(work, done(golden)) as runs:
        runs.follow([failed])
    with golden_run.GoldenRuns(work, unanswered) as runs:
        runs.follow([done(made)])
    assert not caplog.records
    assert not Path(work.cache.folder / "goldens").exists()


def test_an_artifact_that_fails_on_the_goldens_is_told_with_its_layer(work, tmp_path, golden):
    """Goldens of 16 samples of 4 values cannot be made a matrix of 5 columns."""
    shape = helper.make_node("Constant", [], ["shape"], value=helper.make_tensor("s", TensorProto.INT64, [2], [-1, 5]))
    named = helper.make_node("Reshape", ["x", "shape"], ["y"], name="functional_1/fold_1/Reshape")
    path = graph(tmp_path, [shape, named], ["n", 5])
    specs = (TensorSpec("x", (None, 4), "float32"),), (TensorSpec("y", (None, 5), "float32"),)
    item = ConvertedArtifact(Artifact(path, "onnx", "int8", *specs, ()), Receipt("onnx"), "digest")
    x = np.zeros((16, 4), np.float32)
    answered = GoldenInputs(specs[0], {"x": x}, {"y": x}, None)
    server: Any = SimpleNamespace(description=SimpleNamespace(layers=("fold", "other")))
    with golden_run.GoldenRuns(work, done(answered)) as runs:
        errors = runs.find_failures(ConversionResult(server, (item,), tmp_path))
    assert errors["onnx/int8"].layers == ("fold",)


def test_nan_is_a_failure_of_the_artifact_that_gives_it(work, tmp_path):
    path = graph(tmp_path, [helper.make_node("Log", ["x"], ["y"])], ["n", 4])
    spec = TensorSpec("x", (None, 4), "float32"), TensorSpec("y", (None, 4), "float32")
    item = ConvertedArtifact(Artifact(path, "onnx", "float16", spec[:1], spec[1:], ()), Receipt("onnx"), "digest")
    x = np.full((16, 4), -1, np.float32)
    answered = GoldenInputs(spec[:1], {"x": x}, {"y": x}, None)
    server: Any = SimpleNamespace(description=SimpleNamespace(layers=()))
    with golden_run.GoldenRuns(work, done(answered)) as runs:
        errors = runs.find_failures(ConversionResult(server, (item,), tmp_path))
    assert "NaN or infinite" in str(errors["onnx/float16"])
