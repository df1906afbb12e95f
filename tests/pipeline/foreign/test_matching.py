"""Which tensor of a file is which of the server model's: said or refused, never guessed."""

import numpy as np
import pytest

from edgeship.errors import InputError
from edgeship.pipeline.foreign.answers import check_answers, describe_clipping
from edgeship.pipeline.foreign.matching import MatchOptions, Sides, match_tensors
from edgeship.types import Quantization, TensorSpec


def spec(name, *shape, dtype="float32", scale=None, zero=0):
    return TensorSpec(name, (None, *shape), dtype, Quantization((scale,), (zero,)) if scale else None)


SERVER = Sides((spec("image", 8, 6, 3),), (spec("probs", 10),))
PAIR = Sides((spec("values", 4), spec("ids", 3, dtype="int32")), (spec("wide", 7), spec("narrow", 2)))


def match(server, inputs, outputs, tensors=None, layout=None):
    return match_tensors(server, Sides(tuple(inputs), tuple(outputs)), MatchOptions(tensors or {}, layout), "tflite/x")


def test_the_same_names_need_no_word():
    bridge, notes = match(SERVER, SERVER.inputs, SERVER.outputs)
    assert bridge.names == {"image": "image", "probs": "probs"} and not bridge.channels_first
    assert notes == ()


def test_a_single_tensor_of_another_name_is_taken_and_said():
    bridge, notes = match(SERVER, [spec("serving_default_image:0", 8, 6, 3)], [spec("Identity:0", 10)])
    assert bridge.names == {"image": "serving_default_image:0", "probs": "Identity:0"}
    assert [note for note in notes if "'Identity:0' is taken for the server model's 'probs'" in note]


def test_several_tensors_of_other_names_are_not_guessed():
    other = [spec("a", 4), spec("b", 3, dtype="int32")]
    with pytest.raises(InputError, match=r"'a' \(float32 \?x4\), 'b'.*\n.*, as --tensor 'values=a' --tensor 'ids=b'"):
        match(PAIR, other, PAIR.outputs)
    bridge, _ = match(PAIR, other, PAIR.outputs, {"values": "a", "ids": "b"})
    assert bridge.names == {"values": "a", "ids": "b", "wide": "wide", "narrow": "narrow"}


@pytest.mark.parametrize(
    ("tensors", "why"),
    [({"valeus": "a"}, "unknown tensor of the server model 'valeus'"), ({"values": "a", "ids": "a"}, "for two")],
)
def test_what_is_said_of_tensors_is_checked(tensors, why):
    with pytest.raises(InputError, match=why):
        match(PAIR, [spec("a", 4), spec("b", 3)], PAIR.outputs, tensors)


def test_more_outputs_are_named_and_fewer_are_refused():
    _, notes = match(PAIR, PAIR.inputs, [*PAIR.outputs, spec("features", 64)])
    assert notes == ("not looked at, as the server model has no such output: 'features'",)
    with pytest.raises(
        InputError,
        match=r"its outputs are 'wide' \(float32 \?x7\); those of the server model 'wide'.*\n.*with all of them",
    ):
        match(PAIR, PAIR.inputs, PAIR.outputs[:1])
    with pytest.raises(InputError, match=r"its inputs are 'image'.*'mask'"):
        match(SERVER, [*SERVER.inputs, spec("mask", 8)], SERVER.outputs)


def test_channels_first_is_named_and_moved_only_where_it_is_asked_for():
    with pytest.raises(InputError, match=r"'image' has shape \?x3x8x6, with channels first.*\n.*--layout nchw"):
        match(SERVER, [spec("image", 3, 8, 6)], SERVER.outputs)
    bridge, notes = match(SERVER, [spec("image", 3, 8, 6)], SERVER.outputs, layout="nchw")
    assert bridge.channels_first == ("image",)
    assert "channels first" in notes[0]
    _, notes = match(SERVER, SERVER.inputs, SERVER.outputs, layout="nchw")
    assert "changes nothing" in notes[0]


@pytest.mark.parametrize(
    ("shape", "advice"), [((6, 8, 3), "another order"), ((144,), "a Reshape does it"), ((9, 6, 3), "shape")]
)
def test_other_shapes_are_refused(shape, advice):
    with pytest.raises(InputError, match=advice):
        match(SERVER, [spec("image", *shape)], SERVER.outputs, layout="nchw")


def test_integers_at_the_edges_are_quantized_by_the_files_own_scale_or_refused():
    _, notes = match(SERVER, [spec("image", 8, 6, 3, dtype="uint8", scale=1 / 255)], SERVER.outputs)
    assert "uint8: quantized by its own scale 0.003922 and zero point 0 (0 to 1)" in notes[0]
    with pytest.raises(InputError, match="uint8 without a scale"):
        match(SERVER, [spec("image", 8, 6, 3, dtype="uint8")], SERVER.outputs)
    pixels = Sides((spec("image", 8, 6, 3, dtype="uint8"),), SERVER.outputs)
    with pytest.raises(InputError, match="stands for 0 to 1"):
        match(pixels, [spec("image", 8, 6, 3, dtype="uint8", scale=1 / 255)], SERVER.outputs)
    with pytest.raises(InputError, match="int64 without a scale"):
        match(SERVER, SERVER.inputs, [spec("label", 10, dtype="int64")])


def test_text_is_not_compared_and_may_stand_beside():
    text = spec("label", dtype="string")
    _, notes = match(PAIR, PAIR.inputs, [*PAIR.outputs, text])
    assert notes == ("not looked at, as the server model has no such output: 'label'",)
    with pytest.raises(InputError, match="output 'label' is string: only numbers are compared"):
        match(Sides(SERVER.inputs, (spec("probs"),)), SERVER.inputs, [text])


def test_a_last_activation_that_one_side_lacks_is_named():
    logits = np.random.default_rng(0).normal(size=(16, 10)).astype(np.float32) * 4
    powers = np.exp(logits)
    probs = powers / powers.sum(-1, keepdims=True)
    check_answers({"probs": probs}, {"probs": probs + 0.001}, "tflite/x")
    check_answers({"probs": probs}, {"probs": probs[::-1]}, "tflite/x")  # a bad model, and no other ending
    with pytest.raises(InputError, match="lacks the softmax"):
        check_answers({"probs": probs}, {"probs": logits}, "tflite/x")
    with pytest.raises(InputError, match="has a softmax"):
        check_answers({"probs": logits}, {"probs": probs}, "tflite/x")
    with pytest.raises(InputError, match="lacks the sigmoid"):
        check_answers({"p": 1 / (1 + np.exp(-logits[:, :1]))}, {"p": logits[:, :1]}, "tflite/x")
    with pytest.raises(InputError, match=r"has shape \(16, 10, 1\)"):
        check_answers({"probs": probs}, {"probs": probs[..., None]}, "tflite/x")


def test_data_beyond_what_an_input_can_hold_is_said():
    inputs = (spec("image", 4, dtype="int8", scale=1 / 127),)
    assert not list(describe_clipping({"image": np.linspace(-1, 1, 8).reshape(2, 4)}, inputs))
    (note,) = describe_clipping({"image": np.linspace(0, 255, 8).reshape(2, 4)}, inputs)
    assert note.startswith("88% of the data for 'image' (0 to 255)")
