"""What TFLite's converter leaves of a dynamic batch axis and of one-dimensional layers is taken out, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from edgeship.convert.tflite import cleanup
from edgeship.formats import flatbuffer


@pytest.fixture(scope="module")
def convert_model(tensorflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tidy")
    return lambda name: Path(tensorflow.call("tidy_models:convert", name=name, folder=str(folder))).read_bytes()


def _ops(content):
    model = flatbuffer.unpack(content)
    return [flatbuffer_utils.opcode_to_name(model, item.opcodeIndex) for item in model.subgraphs[0].operators]


def _answers(content, samples):
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    (name,) = runner.get_input_details()
    return runner(**{name: samples})


@pytest.mark.parametrize(
    ("name", "shape", "views"),
    [
        ("flat", (8, 8, 2), 1),
        # The first layer's view, those of three outputs, and one for a Flatten that keeps no earlier shape.
        ("steps", (24, 6), 5),
        # The output, and those before and behind the dense layer's matrix product.
        ("there_and_back", (8, 6), 3),
    ],
)
def test_shapes_are_constant_and_views_that_undo_each_other_are_gone(convert_model, name, shape, views):
    content = convert_model(name)
    tidied = cleanup.simplify(content)
    ops = _ops(tidied)
    assert sum(op in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS") for op in ops) <= views
    assert not {"SHAPE", "STRIDED_SLICE", "PACK", "GATHER", "REDUCE_PROD", "CONCATENATION"} & set(ops)
    assert len(ops) < len(_ops(content)) and len(tidied) < len(content)
    for batch in (1, 5):
        samples = np.random.default_rng(batch).normal(size=(batch, *shape)).astype(np.float32)
        before, after = _answers(content, samples), _answers(tidied, samples)
        assert before.keys() == after.keys()
        for key, values in before.items():
            np.testing.assert_array_equal(after[key], values)


def test_a_shape_with_two_unknown_axes_stays_computed(convert_model):
    content = convert_model("any_length")
    tidied = cleanup.simplify(content)
    assert {"SHAPE", "CONCATENATION"} <= set(_ops(tidied))
    for length in (4, 9):
        samples = np.random.default_rng(length).normal(size=(3, length, 5)).astype(np.float32)
        for key, values in _answers(content, samples).items():
            np.testing.assert_array_equal(_answers(tidied, samples)[key], values)


def test_masks_and_a_shrunk_axis_together_are_left_to_the_runtime():
    options = SimpleNamespace(beginMask=1, endMask=0, shrinkAxisMask=1, ellipsisMask=0, newAxisMask=0, offset=False)
    assert cleanup._slice_values([[None, 4, 6], [1], [2], [1]], options) == []
    options.beginMask = 0
    assert cleanup._slice_values([[None, 4, 6], [1], [2], [1]], options) == [4]


def test_only_codes_of_operators_that_are_there_are_listed(convert_model):
    model = flatbuffer.unpack(cleanup.simplify(convert_model("flat")))
    assert {item.opcodeIndex for item in model.subgraphs[0].operators} == set(range(len(model.operatorCodes)))


def test_packing_twice_gives_the_same_bytes_and_weights_are_aligned(convert_model):
    content = flatbuffer.pack(flatbuffer.unpack(convert_model("steps")))
    assert flatbuffer.pack(flatbuffer.unpack(content)) == content
    weights = [buffer.data for buffer in flatbuffer.unpack(content).buffers if buffer.data is not None]
    big = [bytes(item) for item in weights if len(item) > 64]
    assert big and all(content.find(item) % 16 == 0 for item in big)
