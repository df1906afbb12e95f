import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship.errors import InputError
from edgeship.runtimes import tensors
from edgeship.types import Quantization, TensorSpec

HALF = Quantization((0.5,), (3,))


def test_quantization_rounds_ties_to_even_and_clips():
    real = np.array([0.25, 0.75, -0.25, 1000.0, -1000.0, np.inf], np.float32)
    np.testing.assert_array_equal(tensors.quantize(real, HALF, "int8"), np.array([3, 5, 3, 127, -128, 127], np.int8))


@given(st.floats(2**-20, 2**10, width=32), st.integers(-128, 127), st.integers(-128, 127))
def test_every_integer_survives_the_way_there_and_back(scale: float, zero_point: int, value: int):
    quantization = Quantization((scale,), (zero_point,))
    real = tensors.dequantize(np.array([value], np.int8), quantization)
    assert tensors.quantize(real, quantization, "int8") == value


def test_quantization_per_channel_goes_along_its_axis():
    quantization = Quantization((1.0, 0.5), (0, 1), axis=1)
    real = tensors.dequantize(np.array([[2, 3], [4, 5]], np.int8), quantization)
    np.testing.assert_array_equal(real, [[2.0, 1.0], [4.0, 2.0]])
    np.testing.assert_array_equal(tensors.quantize(real, quantization, "int8"), [[2, 3], [4, 5]])


def test_quantization_equals_the_interpreters_own(tiny_models):
    """The float-I/O twin of an int8 model quantizes inside: exact ties included, its QUANTIZE op gives our integers."""
    from ai_edge_litert.interpreter import Interpreter

    path = str(tiny_models / "cnn-int8-float-io.tflite")
    interpreter = Interpreter(path, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    inside = next(item for item in interpreter.get_tensor_details() if item["name"] == "tfl.quantize")
    scale, zero_point = inside["quantization"]
    ties = ((np.arange(64) + 0.5) * scale).astype(np.float32).reshape(1, 8, 8, 1)
    for real in (ties, np.random.default_rng(2).random((1, 8, 8, 1), np.float32)):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], real)
        interpreter.invoke()
        ours = tensors.quantize(real, Quantization((scale,), (zero_point,)), "int8")
        np.testing.assert_array_equal(ours, interpreter.get_tensor(inside["index"]))


def test_nan_has_no_quantized_value():
    spec = TensorSpec("x", (None, 2), "int8", HALF)
    with pytest.raises(InputError, match="'x' holds NaN"):
        tensors.check_feeds({"x": np.array([[np.nan, 0.0]], np.float32)}, (spec,), "litert", raw=False)


def test_raw_takes_exactly_the_artifacts_dtype():
    spec = TensorSpec("x", (None, 2), "int8", HALF)
    with pytest.raises(InputError, match="raw input 'x' takes int8, got float32"):
        tensors.check_feeds({"x": np.zeros((1, 2), np.float32)}, (spec,), "litert", raw=True)


def test_a_fixed_batch_axis_takes_any_batch_and_a_fixed_table_does_not():
    image, table = TensorSpec("image", (2, 3), "float32"), TensorSpec("table", (5,), "float32")
    assert (
        len(tensors.check_feeds({"image": np.zeros((7, 3), np.float32)}, (image,), "litert", raw=False)["image"]) == 7
    )
    both = {"image": np.zeros((7, 3), np.float32), "table": np.zeros(5, np.float32)}
    with pytest.raises(InputError, match="'image' takes shape 2x3, got 7x3"):
        tensors.check_feeds(both, (image, table), "litert", raw=False)


def test_one_sample_fills_a_fixed_batch():
    spec = TensorSpec("x", (4, 2), "float32")
    sample = tensors.one_sample({"x": np.array([[1, 2], [3, 4]], np.float32)}, (spec,))
    np.testing.assert_array_equal(sample["x"], [[1, 2]] * 4)


def test_a_made_up_sample_fits_the_inputs():
    specs = (
        TensorSpec("image", (None, 4, None), "float32"),
        TensorSpec("ids", (None, 3), "int32"),
        TensorSpec("q", (None, 2), "int8", HALF),
    )
    sample = tensors.one_sample(tensors.made_up(specs), specs)
    checked = tensors.check_feeds(sample, specs, "litert", raw=False)
    assert {name: array.shape for name, array in checked.items()} == {"image": (1, 4, 1), "ids": (1, 3), "q": (1, 2)}
    assert not sample["ids"].any()
