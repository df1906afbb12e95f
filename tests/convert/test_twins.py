"""Another rounding of the same numbers is told from other numbers, whichever tool rounded them, and how."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeship.convert.twins import compare, onnx, tfjs, tflite
from edgeship.convert.twins.contents import Contents, affine, plain
from edgeship.errors import InputError
from tests.mutants.lab import changes, constants

NUMBERS = arrays(np.float64, (32, 16), elements=st.floats(-4, 4, width=32))


def rounded(values, bits, *, per_channel):
    """Symmetric codes of so many bits, one scale or one for each column."""
    most = 2 ** (bits - 1) - 1
    largest = np.abs(values).max(axis=0) if per_channel else np.abs(values).max(keepdims=True).reshape(1)
    scale = np.where(largest > 0, largest / most, 1.0)
    codes = np.round(values / scale).astype(np.int64)
    return affine("kernel", codes, scale, np.zeros(scale.size, np.int64), 1 if per_channel else None, 8)


def difference(found, expected):
    return compare._difference(found, expected)


@settings(max_examples=60, deadline=None)
@given(values=NUMBERS, bits=st.sampled_from([7, 8]), per_channel=st.booleans())
def test_any_rounding_of_the_same_numbers_is_the_same(values, bits, per_channel):
    twin = rounded(values, 8, per_channel=True)
    for found in (rounded(values, bits, per_channel=per_channel), plain("kernel", values.astype(np.float32))):
        assert not difference(found, twin)
        assert not difference(twin, found)


@settings(max_examples=60, deadline=None)
@given(values=NUMBERS, place=st.integers(0, 511), far=st.sampled_from([-3, 3]))
def test_a_single_number_that_is_three_steps_off_is_found(values, place, far):
    values = values.copy()
    values.flat[:64] = np.linspace(-4, 4, 64)
    values.flat[64:66] = -4, 4  # a single one at the end of all codes could have been cut off
    twin, found = (rounded(values, 8, per_channel=False) for _ in range(2))
    found.codes.flat[place] += far
    moved = affine("kernel", found.codes, found.step, np.zeros(1, np.int64), None, 8)
    assert difference(moved, twin) == "1 of 512 numbers of 'kernel' differ by more than rounding explains"


def test_fewer_bits_are_found_in_either_way_of_storing_them():
    values = np.random.default_rng(0).normal(size=(32, 16))
    twin = rounded(values, 8, per_channel=True)
    coarse = rounded(values, 4, per_channel=True)
    assert difference(coarse, twin) == "'kernel' has fewer than 8 bits"
    again = rounded(coarse.values, 8, per_channel=True)
    assert "by more than rounding explains" in difference(again, twin) or "fewer" in difference(again, twin)
    packed = affine("kernel", coarse.codes, coarse.step, np.zeros(16, np.int64), 1, 4)
    assert difference(packed, twin) == "'kernel' has fewer than 8 bits"


def test_what_is_rare_may_be_cut_off_but_not_turned_round():
    values = np.random.default_rng(0).normal(size=(32, 16))
    values[0, 0] = 9
    cut = rounded(np.clip(values, -3, 3), 8, per_channel=False)
    assert not difference(cut, plain("kernel", values.astype(np.float32)))
    assert difference(affine("kernel", -cut.codes, cut.step, np.zeros(1), None, 8), plain("kernel", values))


def test_biases_may_be_corrected_but_not_lost():
    bias = affine("bias", np.arange(1000, 1016), np.array([1e-3]), np.zeros(1), None, 32)
    corrected = affine("bias", np.arange(1000, 1016) + 30, np.array([1e-3]), np.zeros(1), None, 32)
    lost = affine("bias", np.zeros(16, np.int64), np.array([1e-3]), np.zeros(1), None, 32)
    assert not difference(corrected, bias)
    assert "the biases 'bias' differ by 100% of their size" in difference(lost, bias)


def test_constants_called_otherwise_are_found_by_their_shape():
    values = np.random.default_rng(0).normal(size=(2, 8, 8))
    expected = [plain(f"layer{number}", array) for number, array in enumerate(values)]
    found = [plain(f"other{number}", array) for number, array in enumerate(values[::-1])]
    pairs, missing = compare.pair_constants(found, expected)
    assert not missing
    assert [one.name for one, _ in pairs] == ["other1", "other0"]


def test_names_that_a_converter_numbers_anew_in_each_run_do_not_mislead():
    """As tf2onnx does: new_shape__35 of one run is new_shape__36 of the next."""
    one, other, third = (plain(f"new_shape__{number}", np.array([-1, 1, number, 6])) for number in (35, 36, 37))
    again = [plain(second.name, first.values) for first, second in ((one, other), (other, one))]
    pairs, missing = compare.pair_constants([*again, third], [one, other])
    assert not missing
    assert not [text for pair in pairs if (text := compare._difference(*pair))]
    pairs, _ = compare.pair_constants([one, third], [one, other])
    assert [bool(compare._difference(*pair)) for pair in pairs] == [False, True], "none stands for two"


@pytest.mark.parametrize("name", ["cnn", "large"])
def test_an_int8_file_of_tensorflows_own_converter_is_its_float_file_in_other_rounding(tiny_models, name):
    found = compare.compare(str(tiny_models / f"{name}-int8.tflite"), str(tiny_models / f"{name}.tflite"), "tflite")
    assert not found.differences
    assert found.numbers > 300


@pytest.mark.parametrize(
    "change", ["zeroed", "sign flipped", "transposed", "four bits", "one bit in a hundred flipped"]
)
def test_a_changed_file_is_found(tiny_models, tmp_path, change):
    source = tiny_models / "large-int8.tflite"
    kernels = {**changes.KERNEL, "four bits": changes.four_bits}
    weights = constants.read(source, "tflite")
    if change in kernels:
        kernels[change](weights.kernels[1])
    else:
        changes.WHOLE[change](weights)
    weights.write(tmp_path / "changed.tflite")
    found = compare.compare(str(tmp_path / "changed.tflite"), str(source), "tflite")
    assert found.differences
    assert not found.remark
    assert not compare.compare(str(source), str(source), "tflite").differences


@pytest.mark.parametrize(("kind", "place"), [("tflite", "cnn.tflite"), ("onnx", "cnn.onnx"), ("tfjs", "cnn-tfjs")])
def test_every_format_is_read(tiny_models, kind, place):
    contents = {"tflite": tflite, "onnx": onnx, "tfjs": tfjs}[kind].read(tiny_models / place)
    assert isinstance(contents, Contents)
    sizes = sorted(item.values.size for item in contents.constants if item.values.size > 4)
    assert sizes[-2:] == [72, 1440] or sizes[-1] == 1440
    assert any("onv" in item.name.lower() for item in contents.operators)


def test_other_attributes_of_an_operator_are_told(tiny_models, tmp_path):
    import onnx as library

    model = library.load(tiny_models / "cnn.onnx")
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    next(item for item in node.attribute if item.name == "strides").ints[:] = [2, 2]
    library.save(model, tmp_path / "other.onnx")
    found = compare.compare(str(tmp_path / "other.onnx"), str(tiny_models / "cnn.onnx"), "onnx")
    assert found.differences == ("Conv has strides [2, 2] instead of [1, 1]",)


def test_a_damaged_file_is_refused(tiny_models, tmp_path):
    shutil.copyfile(tiny_models / "cnn.tflite", tmp_path / "cut.tflite")
    (tmp_path / "cut.tflite").write_bytes((tmp_path / "cut.tflite").read_bytes()[:300])
    with pytest.raises(InputError, match=r"cut\.tflite"):
        compare.compare(str(tmp_path / "cut.tflite"), str(tiny_models / "cnn.tflite"), "tflite")
