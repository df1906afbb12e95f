"""Outputs that are no number for each sample, or beyond all numbers, have a reason."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.compare.metrics import METRICS
from edgeship.errors import CheckError, InputError
from edgeship.runtimes.session import open_session
from edgeship.server_model.adapter import first_samples
from edgeship.settings.sections import MetricChoice
from edgeship.types import to_json


def strange_output(path, kind):
    """A model whose output is no number for each sample."""
    import onnx
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])
    shape = {"scalar": [], "text": [None, 4], "other shapes": [2, None]}[kind]
    dtype = {"scalar": TensorProto.FLOAT, "text": TensorProto.STRING, "other shapes": TensorProto.INT64}[kind]
    node = {
        "scalar": helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0),
        "text": helper.make_node("Cast", ["x"], ["y"], to=TensorProto.STRING),
        "other shapes": helper.make_node("NonZero", ["x"], ["y"]),
    }[kind]
    graph = helper.make_graph([node], "g", [x], [helper.make_tensor_value_info("y", dtype, shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("scalar", "one value for a whole batch"),
        ("text", "only numbers"),
        ("other shapes", "another shape for each batch"),
    ],
)
def test_an_artifact_whose_output_is_no_number_of_each_sample(kind, words, tmp_path):
    batches = ({"x": np.ones((3, 4), np.float32)}, {"x": np.zeros((2, 4), np.float32)})
    path = strange_output(tmp_path / "m.onnx", kind)
    with open_session("onnxruntime", path, timeout=30) as session, pytest.raises(CheckError, match=words):
        session.evaluate(iter(batches), 2)


def test_a_server_model_whose_output_is_one_number():
    with pytest.raises(InputError, match="'y' is one value for a whole batch"):
        first_samples("y", np.float32(3) * np.ones(()), 2)


RANDOM = np.random.default_rng(0)


OUTPUTS: dict[str, Any] = {
    **{
        "plain": RANDOM.random((6, 3), np.float32),
        "large": RANDOM.random((6, 3)) * 1e200,
        "huge": np.full((6, 3), 1.7e308),
    },
    **{
        "tiny": np.full((6, 3), 1e-200),
        "whole": RANDOM.integers(-(2**63), 2**63 - 1, (6, 3)),
        "none": np.zeros((6, 0)),
    },
    **{"text": np.full((6, 3), "a"), "objects": np.full((6, 3), b"a", object), "complex": np.ones((6, 3)) * 1j},
    **{
        "scalar": np.ones(()),
        "void": np.zeros((6, 3), "V2"),
        "nan": np.full((6, 3), np.nan),
        "single": np.ones((6, 1)),
    },
}


LABELS = {
    **{"classes": np.arange(6) % 3, "one-hot": np.eye(3)[np.arange(6) % 3], "values": np.full((6, 3), 1e300)},
    **{"padding": np.full(6, -1), "large": np.full(6, 2**63 - 1), "scalar": np.ones(()), "void": np.zeros(6, "V3")},
}


@pytest.mark.parametrize("metric", [None, *METRICS])
def test_outputs_beyond_all_numbers_have_figures_or_a_reason(metric):
    """Whatever a model answers and a data file calls labels: figures that JSON can hold, or a sentence."""
    for server, artifact in itertools.product(OUTPUTS.values(), OUTPUTS.values()):
        one, two = {"y": server}, {"y": artifact}
        judges: list[Callable[[], object]] = [partial(parity.compare, one, two)]
        judges += [partial(accuracy.measure, {"y": truth}, one, two, MetricChoice(metric)) for truth in LABELS.values()]
        for judge in judges:
            with contextlib.suppress(CheckError, InputError):
                json.dumps(to_json(judge()), allow_nan=False)
    too_large = parity.compare_output("y", OUTPUTS["plain"].astype(float), OUTPUTS["large"])
    assert too_large.sqnr_db is None and "too large" in too_large.reason
