"""Channels without weights keep their biases: litert-quantizer cuts off at int32 what it stores in steps of next to nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship.formats import flatbuffer
from edgeship.optimize.quantize.tflite import bias_overflow

MOST = 2**31 - 1


@pytest.mark.parametrize("io", ["int8", "float32"])
def test_channels_without_weights_keep_their_biases(io, lab):
    path, _ = lab.tflite("dead", io=io)
    feeds = lab.feeds("dead")
    assert lab.sqnr(lab.run(lab.model("dead.tflite"), feeds), lab.run(path, feeds)) > 25
    model = flatbuffer.unpack(path.read_bytes())
    biases = [
        tensor for tensor in model.subgraphs[0].tensors if tensor.type == flatbuffer.INT32 and tensor.quantization
    ]
    values = [np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int32) for tensor in biases]
    assert len(biases) == 4
    assert all(np.abs(item.astype(np.int64)).max() < MOST for item in values)


def test_a_file_whose_biases_fit_stays_as_it_is(lab):
    for name in ("photo", "table"):
        model, original = (
            flatbuffer.unpack(Path(place).read_bytes()) for place in (lab.tflite(name)[0], lab.model(f"{name}.tflite"))
        )
        before = flatbuffer.pack(model)
        bias_overflow.fit_biases(model, original)
        assert flatbuffer.pack(model) == before


@given(
    weights=st.lists(st.floats(-1e3, 1e3, width=32), min_size=4, max_size=4),
    biases=st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=2),
    shrink=st.sampled_from([0.0, 1e-12, 1e-6, 1.0]),
    input_scale=st.floats(1e-6, 1e3),
)
def test_any_bias_is_stored_as_what_it_is(weights, biases, shrink, input_scale):
    kernel = np.array(weights).reshape(2, 2) * [[1.0], [shrink]]
    scales = np.maximum(np.abs(kernel).max(axis=1), 1e-9) / 127
    codes = np.round(kernel / scales[:, None]).astype(np.int8)
    tensor = SimpleNamespace(
        shape=[2, 2], buffer=1, quantization=SimpleNamespace(scale=scales.astype(np.float32), quantizedDimension=0)
    )
    steps = input_scale * scales
    cut = np.clip(np.round(np.array(biases) / steps), -MOST, MOST).astype(np.int32)
    bias = SimpleNamespace(buffer=2, quantization=SimpleNamespace(scale=steps.astype(np.float32)))
    model = SimpleNamespace(buffers=[SimpleNamespace(data=item) for item in (None, codes.tobytes(), cut.tobytes())])
    bias_overflow._fit_channels(model, tensor, [bias_overflow._Bias(0, input_scale, bias, np.array(biases))])
    stored = np.frombuffer(bytes(model.buffers[bias.buffer].data), np.int32)
    held = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int8).reshape(2, 2).astype(np.float64)
    scale, step = (np.asarray(item.quantization.scale, np.float64) for item in (bias, tensor))
    assert (np.abs(stored * scale - biases) <= np.maximum(scale, 1e-6 * np.abs(biases))).all()
    # What weights lose is at most half a step, and no step is larger than the bias or the other channel asks for.
    assert (np.abs(held * step[:, None] - kernel).max(axis=1) <= 0.51 * step + 0.51 * scales).all()
    most = np.maximum.reduce([scales, np.abs(biases) / (input_scale * 2**30), np.full(2, scales.max() * 2.0**-20)])
    assert (step <= most * 1.001).all()


def test_one_scale_for_all_channels_fits_the_largest_bias():
    tensor = SimpleNamespace(
        shape=[2, 2], buffer=1, quantization=SimpleNamespace(scale=np.array([1e-11], np.float32), quantizedDimension=0)
    )
    bias = SimpleNamespace(buffer=2, quantization=SimpleNamespace(scale=np.array([1e-12], np.float32)))
    codes, cut = np.zeros((2, 2), np.int8), np.array([MOST, -MOST], np.int32)
    model = SimpleNamespace(buffers=[SimpleNamespace(data=item) for item in (None, codes.tobytes(), cut.tobytes())])
    values = np.array([1.0, -0.25])
    bias_overflow._fit_channels(model, tensor, [bias_overflow._Bias(0, 0.1, bias, values)])
    stored = np.frombuffer(bytes(model.buffers[bias.buffer].data), np.int32)
    assert np.allclose(stored * np.float64(bias.quantization.scale[0]), values, rtol=1e-6)
