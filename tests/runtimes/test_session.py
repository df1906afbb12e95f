"""What only some artifacts or runtimes have: quantized I/O, a fixed batch, no signature; hangs and lack of memory."""

import os
import resource
import signal

import numpy as np
import pytest

from edgeship.errors import InputError, MissingDependencyError, ProcessError
from edgeship.runtimes import registry, tfjs_node
from edgeship.runtimes.session import open_session
from edgeship.types import TensorSpec


@pytest.fixture(scope="module")
def images(tiny_models):
    with np.load(tiny_models / "expected.npz") as arrays:
        return {"image": arrays["cnn/inputs/image"]}


def test_quantized_input_and_output_are_real_numbers_unless_raw(tiny_models, images):
    with open_session("litert", tiny_models / "cnn-int8.tflite") as session:
        (model_input,), (model_output,) = session.inputs, session.outputs
        assert model_input.dtype == model_output.dtype == "int8"
        assert model_input.quantization
        assert model_output.quantization
        real = session.run(images)["probs"]
        integers = np.rint(images["image"] / model_input.quantization.scale[0]) + model_input.quantization.zero_point[0]
        raw = session.run({"image": np.clip(integers, -128, 127).astype(np.int8)}, raw=True)["probs"]
        assert raw.dtype == np.int8
        (step,), (zero,) = model_output.quantization.scale, model_output.quantization.zero_point
        shown = (raw.astype(np.float32) - zero) * np.float32(step)
        np.testing.assert_allclose(real, shown, atol=step)
        streamed = session.evaluate(iter([images]), batch=2)["probs"]
        np.testing.assert_array_equal(streamed, real)
        with np.load(tiny_models / "expected.npz") as arrays:
            np.testing.assert_allclose(real, arrays["cnn/outputs/probs"], atol=0.02)


@pytest.mark.parametrize(
    ("runtime", "file"), [("litert", "cnn.tflite"), ("litert", "cnn-int8.tflite"), ("onnxruntime", "cnn.onnx")]
)
def test_other_kernels_compute_the_same_model_by_other_arithmetic(tiny_models, images, runtime, file):
    for kernels in registry.find(runtime).kernels:
        with open_session(runtime, tiny_models / file, options={"kernels": kernels}) as session:
            outputs = session.run(images)["probs"]
        with np.load(tiny_models / "expected.npz") as arrays:
            np.testing.assert_allclose(outputs, arrays["cnn/outputs/probs"], atol=0.02 if "int8" in file else 1e-5)


def _opened(runtime, path, **options):
    reason = registry.find(runtime).unavailable_reason()
    if reason and runtime == "tfjs-node":
        pytest.skip(reason)
    return open_session(runtime, path, **options)


@pytest.mark.parametrize(("runtime", "suffix"), [("litert", ".tflite"), ("tfjs-node", "-tfjs")])
def test_a_fixed_batch_is_looped_over_in_the_worker(runtime, suffix, tiny_models, images):
    with _opened(runtime, tiny_models / f"cnn-static{suffix}") as session:
        assert session.inputs[0].shape == (2, 8, 8, 1)
        outputs = session.run(images)["probs"]
        assert session.first_ms > 0
        assert session.block(0.01)
    with np.load(tiny_models / "expected.npz") as arrays:
        np.testing.assert_allclose(outputs, arrays["cnn/outputs/probs"], atol=1e-5)


@pytest.mark.parametrize(("runtime", "suffix"), [("litert", ".tflite"), ("tfjs-node", "-tfjs")])
def test_control_flow_and_an_input_without_batch_axis(runtime, suffix, tiny_models):
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    with _opened(runtime, tiny_models / f"power{suffix}") as session:
        assert {spec.name: spec.shape for spec in session.inputs} == {"x": (None, 3), "times": ()}
        for times in (0, 3):
            feeds = {"x": x, "times": np.int32(times)}
            np.testing.assert_array_equal(session.run(feeds)["y"], x * 2**times)
            np.testing.assert_array_equal(session.evaluate(iter([feeds]), batch=2)["y"], x * 2**times)
        assert session.first_ms > 0


def test_a_size_that_is_told_by_the_first_inputs_only(tiny_models):
    """Allocating with the 1 that the file has in its place failed: no kernel of 9 fits into it."""
    sound = np.sin(np.arange(200, dtype=np.float32)).reshape(2, 100, 1)
    with open_session("litert", tiny_models / "length.tflite", sample={"sound": sound}) as session:
        assert session.first_ms > 0
        assert session.run({"sound": sound})["kind"].shape == (2, 3)
        assert session.run({"sound": sound[:, :50]})["kind"].shape == (2, 3)


def test_a_file_without_signature_goes_by_its_tensors_names(tiny_models):
    with open_session("litert", tiny_models / "double.tflite") as session:
        assert session.engine["signature"] is False
        (model_input,), (model_output,) = session.inputs, session.outputs
        for count in (1, 3):
            x = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
            np.testing.assert_array_equal(session.run({model_input.name: x})[model_output.name], 2 * x)


def test_a_signature_outside_the_first_subgraph_is_the_one_that_runs(tiny_models):
    with open_session("litert", tiny_models / "both.tflite") as session:
        for count in (2, 5):
            outputs = session.run({"x": np.ones((count, 3), np.float32)})
            np.testing.assert_array_equal(outputs["y"], np.full((count, 3), 10, np.float32))


def test_latency_is_taken_on_the_sample_given(tiny_models, images):
    with open_session("litert", tiny_models / "cnn.tflite", sample=images) as session:
        np.testing.assert_array_equal(session.sample["image"], images["image"][:1])
    with (
        open_session("litert", tiny_models / "cnn.tflite", sample={"wrong": images["image"]}) as session,
        pytest.raises(InputError, match="takes inputs 'image', got 'wrong'"),
    ):
        session.block(0.01)


def test_memory_does_not_count_what_the_measurement_itself_keeps(tiny_models):
    with open_session("litert", tiny_models / "cnn.tflite") as session:
        before = session.memory().peak_bytes
        session.latency(1.0, 64)  # LoadGen lays out its queries beforehand: tens of megabytes for such a fast model
        after = session.memory().peak_bytes
        assert before and after and after < before + 2_000_000


def test_outputs_that_are_not_the_models_are_refused(tiny_models):
    with pytest.raises(InputError, match="gives outputs probs, expected scores"):
        open_session("litert", tiny_models / "cnn.tflite", outputs=(TensorSpec("scores", (None, 5), "float32"),))


def test_a_hanging_worker_is_stopped(tiny_models, images):
    for use in (lambda s: s.run(images), lambda s: s.evaluate(iter([images] * 3), batch=2)):
        with open_session("litert", tiny_models / "cnn.tflite") as session:
            session.timeout = 1
            os.kill(session.pid, signal.SIGSTOP)
            with pytest.raises(ProcessError, match="the litert process took longer than 1 s and was stopped"):
                use(session)


def test_a_worker_without_memory_is_an_error_here(tiny_models):
    with open_session("litert", tiny_models / "cnn.tflite") as session:
        with open(f"/proc/{session.pid}/statm") as statm:
            used = int(statm.read().split()[0]) * resource.getpagesize()
        resource.prlimit(session.pid, resource.RLIMIT_AS, (used + (1 << 20), used + (1 << 20)))
        with pytest.raises(ProcessError, match="the litert process"):
            session.run({"image": np.zeros((200_000, 8, 8, 1), np.float32)})


def test_a_failing_model_leaves_the_session_usable(tiny_models):
    with open_session("onnxruntime", tiny_models / "pair.onnx") as session:
        feeds = {"values": np.zeros((4, 4), np.float32), "ids": np.zeros((4, 3), np.int32)}
        out_of_range = {**feeds, "ids": np.full((4, 3), 99, np.int32)}
        with pytest.raises(ProcessError, match="in the onnxruntime process"):
            session.run(out_of_range)
        with pytest.raises(ProcessError, match="in the onnxruntime process"):
            session.evaluate(iter([feeds, out_of_range, feeds, feeds]), batch=4)
        assert len(session.run(feeds)["wide"]) == 4


def test_threads_reach_the_runtime(tiny_models):
    for runtime, name in (("litert", "cnn.tflite"), ("onnxruntime", "cnn.onnx")):
        with open_session(runtime, tiny_models / name, threads=None) as session:
            assert session.engine["threads"] == os.cpu_count()


def test_unknown_runtimes_and_missing_files_are_told(tmp_path):
    with pytest.raises(InputError, match="unknown runtime 'tensorrt'; known: client-c, "):
        open_session("tensorrt", tmp_path / "x")
    with pytest.raises(InputError, match=r"x.tflite: no such file"):
        open_session("litert", tmp_path / "x.tflite")


def test_without_node_only_tfjs_is_missing(tiny_models, monkeypatch):
    monkeypatch.setenv("PATH", "")
    tfjs_node._find_node.cache_clear()
    try:
        assert "node is not on the path" in (registry.find("tfjs-node").unavailable_reason() or "")
        with pytest.raises(MissingDependencyError, match="edgeship runtimes install tfjs-node"):
            open_session("tfjs-node", tiny_models / "cnn-tfjs")
        assert not registry.find("litert").unavailable_reason()
    finally:
        tfjs_node._find_node.cache_clear()
