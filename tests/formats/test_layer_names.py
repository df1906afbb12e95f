"""Keras layers told from the names in a converted graph."""

from __future__ import annotations

from edgeship.formats.layer_names import LayerNames, scope

LAYERS = ["stem", "conv2d", "conv2d_1", "relu", "add", "layer_normalization", "encoder", "shared", "flatten"]


def resolved(*names: str, layers: list[str] = LAYERS) -> list[tuple[str, ...]]:
    known = LayerNames(layers, names)
    return [known.layers_of(name) for name in names]


def test_a_number_that_the_whole_trace_has_is_no_part_of_a_name() -> None:
    assert resolved("m_1/conv2d_1/convolution", "m_1/conv2d_1_1/convolution1", "m_1/stem_1/convolution") == [
        ("conv2d",),
        ("conv2d_1",),
        ("stem",),
    ]


def test_names_without_such_a_number() -> None:
    assert resolved("m/conv2d/convolution", "m/conv2d_1/convolution", "m/relu/Relu") == [
        ("conv2d",),
        ("conv2d_1",),
        ("relu",),
    ]


def test_what_was_fused_names_every_layer_once() -> None:
    assert resolved("m_1/relu_1/Relu;m_1/stem_1/convolution;m_1/stem_1/BiasAdd;1") == [("relu", "stem")]


def test_an_operation_may_be_called_like_a_layer() -> None:
    assert resolved("m_1/layer_normalization_1/add", "m_1/add_1/Add") == [("layer_normalization",), ("add",)]


def test_nested_and_repeated_layers() -> None:
    assert resolved("m_1/encoder_1/conv2d_1/convolution", "m_1/shared_1/mul", "m_1/shared_3/mul") == [
        ("encoder/conv2d",),
        ("shared",),
        ("shared",),
    ]


def test_names_that_tell_no_layer() -> None:
    assert resolved("arith.constant", "StatefulPartitionedCall_1:0", "flatten") == [(), (), ()]
    assert scope("a/Relu;a/b/c/convolution") == "a/b/c"
    assert scope("output_0") == ""
