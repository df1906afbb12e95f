"""The bits of an int8 `.onnx`'s weights, on processors that add two products in 16 bits and on others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from edgeship.convert.receipts import receipt
from edgeship.formats import pair_sums
from edgeship.optimize.quantize.onnx import weight_scales

RANDOM = np.random.default_rng(3)


def saturated_products(weights, activations):
    """As VPMADDUBSW does it: products (int32) of uint8 activations and int8 weights, two neighbours added in 16 bits."""
    rows = np.pad(weights.astype(np.int32), ((0, 0), (0, weights.shape[1] % 2)))
    taken = np.pad(activations.astype(np.int32), ((0, 0), (0, activations.shape[1] % 2)))
    products = rows * taken
    return np.clip(products[:, ::2] + products[:, 1::2], -32768, 32767).sum(axis=1)


def layout_of(kind, shape, group=1):
    node = helper.make_node(kind, ["x", "w"], ["y"], **({"group": group} if kind == "Conv" else {}))
    return pair_sums.weight_layout(node, shape)


def rounded(weights, layout, bits):
    scales = weight_scales.choose_scales(weights, layout, bits)
    shape = [-1 if axis == layout.channel_axis else 1 for axis in range(weights.ndim)]
    return np.clip(np.rint(weights / scales.reshape(shape)), -128, 127).astype(np.int8), scales


@given(st.integers(0, 2**32 - 1), st.sampled_from([(5, 1), (16, 9), (64, 3)]), st.sampled_from([1.0, 0.2, 3.0]))
def test_no_pair_of_weights_overflows_with_auto_or_7_bits(seed, shape, power):
    random = np.random.default_rng(seed)
    weights = np.sign(random.standard_normal(shape)) * np.abs(random.standard_normal(shape)) ** power
    weights = weights.astype(np.float32)
    layout = layout_of("MatMul", shape)
    for bits in (7, "auto"):
        values, scales = rounded(weights, layout, bits)
        assert not pair_sums.may_overflow(values, layout)
        assert np.abs(values * scales - weights).max() <= scales.max() * 0.501
        for sign in (1, -1):  # the activations that are worst for each channel
            worst = np.where(sign * values.T.astype(int) > 0, 255, 0)
            exact = (worst * values.T.astype(np.int32)).sum(axis=1)
            np.testing.assert_array_equal(saturated_products(values.T, worst), exact)
    seven, auto, eight = (rounded(weights, layout, bits)[1] for bits in (7, "auto", 8))
    assert (eight <= auto * 1.0001).all()
    assert (auto <= seven * 1.0001).all()


@pytest.mark.parametrize(
    ("kind", "shape", "group"), [("Conv", (32, 16, 3, 3), 1), ("Conv", (32, 4, 3), 8), ("MatMul", (144, 32), 1)]
)
def test_auto_keeps_more_than_7_bits_and_8_bits_overflow(kind, shape, group):
    weights, layout = RANDOM.standard_normal(shape).astype(np.float32), layout_of(kind, shape, group)
    assert pair_sums.may_overflow(rounded(weights, layout, 8)[0], layout)
    values = rounded(weights, layout, "auto")[0]
    assert not pair_sums.may_overflow(values, layout)
    seven, auto = (weight_scales.choose_scales(weights, layout, bits) for bits in (7, "auto"))
    assert np.log2(seven / auto).mean() > 0.2


def test_a_depthwise_convolution_has_all_8_bits():
    assert layout_of("Conv", (8, 1, 3, 3), group=8) is None
    assert layout_of("Conv", (16, 1, 3, 3), group=8) is not None  # two filters a channel: a product of matrices


@pytest.mark.parametrize("name", ["photo", "table", "pair", "motion"])
def test_files_hold_what_was_asked_for(name, lab):
    files = {bits: lab.onnx(name, file=f"{bits}.onnx", weight_bits=bits)[0] for bits in (7, 8, "auto")}
    told = {bits: receipt.read(path).overflowing for bits, path in files.items()}
    assert told[8]
    assert told[7] == told["auto"] == ()
    feeds = lab.feeds(name)
    expected = lab.run(lab.model(f"{name}.onnx"), feeds)
    noise = {bits: lab.sqnr(expected, lab.run(path, feeds)) for bits, path in files.items()}
    assert noise["auto"] > noise[7] - 1


def test_a_file_without_int8_products_tells_of_none(lab):
    assert receipt.read(lab.model("photo.onnx")).overflowing is None
    assert receipt.read(lab.onnx("photo", "dynamic_w8")[0]).overflowing is None
