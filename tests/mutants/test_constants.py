"""Changes of stored weights do what they say to every kind of constant, whatever signs its numbers happen to have."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeship.errors import MissingDependencyError
from edgeship.runtimes.session import open_session
from tests.mutants.lab import changes, constants

SIGNS = {
    "both signs": [-0.5, 0.25, 0.5, -0.125],
    "both signs, most above 0": [-0.01, 0.25, 0.5, 1.0],
    "all above 0": [0.011, 0.25, 0.5, 0.3],
    "all far above 0": [1.0, 1.25, 1.5, 1.01],
    "none below 0": [0.0, 0.25, 0.5, 1.0],
    "all below 0": [-0.011, -0.25, -0.5, -0.3],
    "all far below 0": [-1.0, -1.25, -1.5, -1.01],
    "none above 0": [0.0, -0.25, -0.5, -1.0],
    "one value": [0.3] * 4,
    "one value above 1": [1.5] * 4,
    "one value below 0": [-0.3] * 4,
    "zeros": [0.0] * 4,
}
REAL = arrays(np.float32, (2, 4), elements=st.floats(-(2.0**10), 2.0**10, width=32, allow_subnormal=False))
CODES = st.integers(0, 255)


def weight(tfjs_quantization, name, values, dtype):
    """A constant as the converter stores it: its entry in the manifest and its bytes."""
    entry = {"name": name, "shape": list(values.shape), "dtype": "float32"}
    if dtype == "float32":
        return entry, values.tobytes()
    stored, reading = tfjs_quantization.quantize_weights(values, getattr(np, dtype))
    return {**entry, "quantization": {"dtype": dtype, "original_dtype": "float32", **reading}}, stored.tobytes()


def tfjs(folder, weights):
    """A TF.js model that computes y = x kernel + bias, of those stored constants; returns its model.json."""
    float32 = {"T": {"type": "DT_FLOAT"}}
    shape = {"dim": [{"size": "-1"}, {"size": "2"}]}
    nodes = [
        {"name": "x", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}, "shape": {"shape": shape}}},
        *({"name": name, "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}}} for name in ("kernel", "bias")),
        {"name": "product", "op": "MatMul", "input": ["x", "kernel"], "attr": float32},
        {"name": "y", "op": "BiasAdd", "input": ["product", "bias"], "attr": float32},
    ]
    ends = {
        name: {"name": f"{name}:0", "dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": "-1"}, {"size": str(size)}]}}
        for name, size in (("x", 2), ("y", 4))
    }
    model = {
        "format": "graph-model",
        "modelTopology": {"node": nodes, "versions": {}},
        "signature": {"inputs": {"x": ends["x"]}, "outputs": {"y": ends["y"]}},
        "weightsManifest": [{"paths": ["shard.bin"], "weights": [entry for entry, _ in weights]}],
    }
    folder.mkdir(exist_ok=True)
    (folder / "shard.bin").write_bytes(b"".join(stored for _, stored in weights))
    (folder / "model.json").write_text(json.dumps(model))
    return folder / "model.json"


def real(tfjs_quantization, path):
    """The numbers of a TF.js model as its loader reads them, by name."""
    model, stream, found = json.loads(path.read_text()), (path.parent / "shard.bin").read_bytes(), {}
    for entry in model["weightsManifest"][0]["weights"]:
        reading = entry.get("quantization", {"dtype": "float32"})
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(stream, reading["dtype"], count).reshape(entry["shape"])
        stream = stream[values.nbytes :]
        plain = reading["dtype"] == "float32"
        found[entry["name"]] = values if plain else tfjs_quantization.dequantize_weights(values, reading)
    return found


def changed(path, how):
    """The model with its weights changed, written beside it."""
    weights = constants.read(path, "tfjs")
    how(weights)
    weights.write(path.parent / "changed" / "model.json")
    return path.parent / "changed" / "model.json"


@pytest.fixture
def model(tfjs_quantization, tmp_path):
    def made(values, dtype="uint8"):
        kernel = np.array([values, values], np.float32)
        return tfjs(
            tmp_path / "model",
            [weight(tfjs_quantization, "kernel", kernel, dtype), weight(tfjs_quantization, "bias", kernel[0], dtype)],
        )

    return made


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "uint16"])
@pytest.mark.parametrize("signs", SIGNS)
def test_zeroed_weights_of_tfjs_are_zero(signs, dtype, model, tfjs_quantization):
    path = changed(model(SIGNS[signs], dtype), lambda weights: changes.zero(weights.kernels[0]))
    found, before = real(tfjs_quantization, path), real(tfjs_quantization, path.parent.parent / "model.json")
    assert not found["kernel"].any()
    np.testing.assert_array_equal(found["bias"], before["bias"])


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "uint16"])
@pytest.mark.parametrize("signs", SIGNS)
def test_lost_biases_of_tfjs_are_zero(signs, dtype, model, tfjs_quantization):
    path = changed(model(SIGNS[signs], dtype), changes.biases_lost)
    found, before = real(tfjs_quantization, path), real(tfjs_quantization, path.parent.parent / "model.json")
    assert not found["bias"].any()
    np.testing.assert_array_equal(found["kernel"], before["kernel"])


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "uint16"])
@pytest.mark.parametrize("signs", SIGNS)
def test_flipped_weights_of_tfjs_have_the_other_sign(signs, dtype, model, tfjs_quantization):
    path = changed(model(SIGNS[signs], dtype), lambda weights: changes.negate(weights.kernels[0]))
    before = real(tfjs_quantization, path.parent.parent / "model.json")
    np.testing.assert_allclose(real(tfjs_quantization, path)["kernel"], -before["kernel"], atol=1e-9, rtol=1e-6)


@pytest.mark.parametrize("change", ["zeroed", "sign flipped"])
@pytest.mark.parametrize("signs", ["both signs", "all far above 0", "all far below 0", "one value"])
def test_tfjs_itself_reads_them_so(signs, change, model, missing):
    path = model(SIGNS[signs])
    feeds = {"x": np.array([[1.0, 2.0], [-1.0, 3.0], [0.0, 0.0]], np.float32)}
    try:
        with open_session("tfjs-node", path.parent) as session:
            before = session.run(feeds)["y"]
        broken = changed(path, lambda weights: changes.KERNEL[change](weights.kernels[0]))
        with open_session("tfjs-node", broken.parent) as session:
            after = session.run(feeds)["y"]
    except MissingDependencyError as error:
        missing(str(error))
    bias = before[2]
    expected = np.broadcast_to(bias, before.shape) if change == "zeroed" else 2 * bias - before
    np.testing.assert_allclose(after, expected, atol=1e-5)


@settings(max_examples=200, deadline=None)
@given(values=REAL, dtype=st.sampled_from([np.uint8, np.uint16]))
def test_any_numbers_of_tfjs(tfjs_quantization, values, dtype):
    stored, reading = tfjs_quantization.quantize_weights(values, dtype)
    before = tfjs_quantization.dequantize_weights(stored, reading)
    # A single value has scale 1 whatever its size: beside `most` codes of it a tiny one is lost to the doubles.
    lost = np.finfo(np.float64).eps * np.iinfo(dtype).max * reading["scale"]
    for change, expected in ((changes.zero, 0 * before), (changes.negate, -before)):
        constant = constants.Affine(stored.copy(), reading=dict(reading))
        change(constant)
        after = tfjs_quantization.dequantize_weights(constant.values, constant.reading)
        np.testing.assert_allclose(after, expected, atol=1e-9 * np.abs(values).max() + lost, rtol=1e-6)


@settings(deadline=None)
@given(
    values=arrays(np.uint8, (3, 4), elements=CODES),
    zero=st.one_of(arrays(np.uint8, (), elements=CODES), arrays(np.uint8, (1, 4), elements=CODES)),
)
def test_any_unsigned_numbers_with_zero_points(values, zero):
    """As ONNX stores them: a channel of one sign has its zero point at an end."""
    before = values.astype(int) - zero
    for change, factor in ((changes.zero, 0), (changes.negate, -1)):
        constant = constants.Constant(values.copy(), zero.copy())
        change(constant)
        np.testing.assert_array_equal(constant.values.astype(int) - constant.zero, factor * before)


@given(arrays(np.int8, (3, 4), elements=st.integers(-128, 127)))
def test_any_signed_numbers(values):
    """Symmetric, as TFLite stores them: only -128 has no counterpart."""
    for change, factor in ((changes.zero, 0), (changes.negate, -1)):
        constant = constants.Constant(values.copy())
        change(constant)
        np.testing.assert_array_equal(constant.values, np.minimum(factor * values.astype(int), 127))


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("change", ["zeroed", "sign flipped"])
def test_onnx_runtime_reads_them_so(signs, change, tmp_path):
    """Unsigned weights per channel, each channel of one sign but for the last."""
    columns = np.array([SIGNS[signs], np.abs(SIGNS[signs]), -np.abs(SIGNS[signs])], np.float32).T
    made = quantized_onnx(tmp_path / "made.onnx", columns)
    weights = constants.read(made, "onnx")
    changes.KERNEL[change](weights.kernels[0])
    weights.write(tmp_path / "changed.onnx")
    feeds = {"x": np.eye(4, dtype=np.float32)}
    before, after = answered(made, feeds), answered(tmp_path / "changed.onnx", feeds)
    np.testing.assert_allclose(before, columns, atol=0.01)
    np.testing.assert_allclose(after, 0 * before if change == "zeroed" else -before, atol=1e-6)


def quantized_onnx(path, kernel):
    """y = x kernel, the kernel in uint8 per output channel by ONNX's own rule: the range holds 0."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    low, high = np.minimum(kernel.min(axis=0), 0), np.maximum(kernel.max(axis=0), 0)
    scale = np.where(high > low, (high - low) / 255, 1).astype(np.float32)
    zero = np.round(-low / scale).astype(np.uint8)
    codes = np.clip(np.round(kernel / scale) + zero, 0, 255).astype(np.uint8)
    nodes = [
        helper.make_node("DequantizeLinear", ["kernel", "scale", "zero"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in ("x", "y")]
    held = [numpy_helper.from_array(*item) for item in ((codes, "kernel"), (scale, "scale"), (zero, "zero"))]
    graph = helper.make_graph(nodes, "product", ends[:1], ends[1:], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def answered(path, feeds):
    """What ONNX Runtime makes of the feeds."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
