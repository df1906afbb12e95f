"""Time per operator: by the runtimes' own profilers, under the names of the file."""

from typing import Any

import pytest

from edgeship.runtimes.session import open_session
from edgeship.runtimes.worker import litert_profile, operator_times


@pytest.mark.parametrize("name", ["cnn", "cnn-int8", "large", "double", "both", "length"])
def test_operators_of_a_tflite_are_those_of_the_file(tiny_models, name):
    with open_session("litert", tiny_models / f"{name}.tflite") as session:
        if name == "length":
            session.sample = {"sound": session.sample["sound"].repeat(64, axis=1)}
        times = session.profile()
    assert times.runs >= operator_times.FEWEST
    assert times.total_ms or name != "large"  # an operator may take less than a microsecond
    named = [item for item in times.operators if item.kind]
    assert all(item.name for item in named)
    assert len(named) >= 0.6 * len(times.operators) or name == "both"  # its signature lies in a graph that is not told
    if name == "cnn-int8":
        kinds = [item.kind for item in times.operators]
        assert "CONV_2D" in kinds and "FULLY_CONNECTED" in kinds
        assert next(item for item in times.operators if item.kind == "CONV_2D").kernel.startswith("Convolution")


def test_many_samples_at_once_are_profiled_in_buffers_that_hold_them(tiny_models):
    with open_session("litert", tiny_models / "cnn-int8.tflite") as session:
        one = session.sample
        for count in (64, 512):
            session.sample = {name: array.repeat(count, axis=0) for name, array in one.items()}
            times = session.profile()
        rows: list[Any] = list(times.operators)
        assert all(item.low_ms <= item.ms <= item.high_ms for item in rows)
        assert sum(item.ms for item in rows) >= 0.001  # of 512 samples, by a clock of a microsecond


def test_nodes_of_an_onnx(tiny_models):
    with open_session("onnxruntime", tiny_models / "cnn.onnx") as session:
        times = session.profile()
    assert "Conv" in {item.kind for item in times.operators}
    assert times.total_ms == pytest.approx(sum(item.ms or 0 for item in times.operators), rel=0.5)


def test_another_litert_is_not_guessed_at():
    assert "not known here" in litert_profile.missing_reason("3.0.0")


def test_operators_of_a_delegate_are_found_by_their_order():
    kinds = ["CONV_2D", "RELU6", "RESHAPE", "SHAPE", "FULLY_CONNECTED", "SQUARED_DIFFERENCE", "SOFTMAX"]
    events = [
        ("Convolution (NHWC, F32) IGEMM", None), ("SHAPE", 3), ("Static Reshape (NC)", None),
        ("Fully Connected (NC, F32) GEMM", None), ("Invalid Unary Op", None), ("Squared Difference (ND)", None),
        ("SOFTMAX", 6),
    ]  # fmt: skip
    assert operator_times.align(kinds, events) == [0, 3, 2, 4, None, 5, 6]
    assert operator_times.align(kinds, [("RESHAPE", 2), *events])[:4] == [2, 0, 3, None]
    assert operator_times.align([], events) == [None] * 7
    assert operator_times.align(kinds, []) == []


def test_the_lowest_and_the_highest_tenth_do_not_count():
    runs = [[("a", 1.0), ("b", 2.0), ("a", 1.0)]] * 8 + [[("a", 100.0), ("b", 2.0)], [("a", 0.0), ("b", 2.0)]]
    times, total = operator_times.summarize(runs)
    assert times == {"a": (2.0, 2.0, 2.0), "b": (2.0, 2.0, 2.0)}
    assert total == 4.0
