from typing import Any

import numpy as np
import pytest

from edgeship.bundle.figures.measurement import OperatorTime, OperatorTimes
from edgeship.errors import ProcessError
from edgeship.pipeline.layerwise import operator_times
from edgeship.pipeline.layerwise.operator_times import _profile_session, _state_times, _with_layers
from edgeship.types import TensorSpec


def test_what_makes_an_output_belongs_to_the_layer_before_it():
    operators = (
        OperatorTime("net/conv_1/Relu;net/conv_1/convolution", "CONV_2D", "Convolution", 0.1),
        OperatorTime("", "", "Static Reshape", 0.1),
        OperatorTime("net/unknown/Sum", "SUM", "Sum", 0.1, reads="net/conv_1/Relu;net/conv_1/convolution"),
        OperatorTime("net/scores_1/MatMul", "FULLY_CONNECTED", "Fully Connected", 0.1, reads="net/unknown/Sum"),
        OperatorTime("StatefulPartitionedCall:0", "SOFTMAX", "Softmax", 0.1, reads="net/scores_1/MatMul"),
    )
    layers = [item.layers for item in _with_layers(operators, ["conv", "scores"])]
    assert layers == [("conv",), (), (), ("scores",), ("scores",)]


class Clock:
    """A session whose profiler tells whole microseconds of `costs`, microseconds per sample; `most` samples at once."""

    def __init__(self, *costs, most=1 << 20, batch=None):
        self.costs, self.most = costs, most
        self.inputs = self.outputs = (TensorSpec("x", (batch, 4), "float32"),)
        self.sample = {"x": np.zeros((1, 4), np.float32)}

    def profile(self):
        count = len(self.sample["x"])
        if count > self.most:
            raise ProcessError("Reshape of another size")
        rows = [int(cost * count) / 1000 for cost in self.costs]
        operators = tuple(OperatorTime(f"o{row}", "K", "K", ms, (), "", ms, ms) for row, ms in enumerate(rows))
        return OperatorTimes(operators, sum(rows), 100)


def state(session: Any, busy: str = "") -> Any:
    return _state_times(_profile_session(session), busy)


def test_times_below_a_microsecond_are_those_of_many_samples_at_once():
    found = state(Clock(0.9, 0.3, 0.0))
    assert found.samples == 64 and found.clock_error < operator_times.RESOLVED
    first, second, idle = found.operators
    assert first.ms == pytest.approx(0.0009, rel=0.05) and first.low_ms <= first.ms <= 0.0009 <= first.high_ms
    assert first.share == pytest.approx(0.75, abs=0.02) and second.share == pytest.approx(0.25, abs=0.02)
    assert (idle.ms, idle.share) == (None, None) and idle.high_ms == pytest.approx(0.001 / 64)
    assert found.total_ms == pytest.approx(0.0012, rel=0.05)


def test_what_the_clock_resolves_is_left_at_one_sample():
    found = state(Clock(300, 60))
    assert found.samples == 1 and [item.ms for item in found.operators] == [0.3, 0.06]


@pytest.mark.parametrize("session", [Clock(0.9, 0.3, batch=1), Clock(0.9, 0.3, most=1)], ids=["one", "inside"])
def test_a_fixed_batch_leaves_it_below_the_clock(session):
    found = state(session)
    assert found.samples == 1 and found.total_ms is None
    assert all((item.ms, item.share, item.high_ms) == (None, None, 0.001) for item in found.operators)


def test_shares_are_left_where_half_of_the_time_may_be_cut_off():
    found = state(Clock(1.9, 0.9, batch=1))
    assert found.operators[0].ms == 0.001 and found.operators[0].high_ms == 0.002
    assert all(item.share is None for item in found.operators)


def test_a_busy_machine_withholds_times_from_json_too():
    found = state(Clock(300, 100), "3 other processes")
    assert found.total_ms is None and found.busy == "3 other processes"
    assert all((item.ms, item.low_ms, item.high_ms) == (None, None, None) for item in found.operators)
    assert [item.share for item in found.operators] == pytest.approx([0.75, 0.25])
