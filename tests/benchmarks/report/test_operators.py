"""Times per operator in the terminal, and figures as node data of Model Explorer."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from edgeship.benchmarks.report.layers import model_explorer, operator_table
from edgeship.bundle.figures.comparisons import CandidateFigures, LayerErrors, LayerSensitivity
from edgeship.bundle.figures.measurement import OperatorTime, OperatorTimes
from edgeship.errors import InputError

OPERATORS = (
    OperatorTime("net/conv/Relu", "CONV_2D", "Convolution (NHWC, F32) IGEMM", 0.3, ("conv",), "", 0.29, 0.32, 0.3),
    OperatorTime("", "", "Static Reshape (NC)", None, high_ms=0.001),
    OperatorTime("net/scores/MatMul", "FULLY_CONNECTED", "FULLY_CONNECTED", 0.6, ("scores",), "", 0.6, 0.61, 0.6),
)
TIMES = OperatorTimes(OPERATORS, 1.0, 100, "tflite/int8", "litert", "2.3.0")


def withheld(times, *names):
    """The times without these figures."""
    rows = (replace(item, **dict.fromkeys(names)) for item in times.operators)
    return replace(times, operators=tuple(rows), total_ms=None)


def text_of(times):
    out = io.StringIO()
    Console(width=120, file=out).print(operator_table.render(times, 120))
    return out.getvalue()


def test_the_slowest_come_first_with_their_layers():
    lines = text_of(TIMES).splitlines()
    rows = [line.split() for line in lines[1:4]]
    assert [row[0] for row in rows] == ["scores", "conv", "-"]
    assert " ".join(rows[0]).endswith("0.6 ms 0.6 ms to 0.61 ms 60.0%")
    assert " ".join(rows[2]).endswith("< 1 µs below the clock -")
    assert "most of it: scores (60.0%); conv (30.0%)" in text_of(TIMES)


def test_a_busy_machine_leaves_shares_alone():
    busy = replace(TIMES, busy="3 other processes want the 2 cores")
    text = text_of(withheld(busy, "ms", "low_ms", "high_ms"))
    assert "60.0%" in text and "shares only" in text and "no times, as the machine was too busy: 3 other" in text
    assert " ms" not in text


def test_what_is_below_the_clock_is_said_and_never_an_empty_file():
    many = replace(TIMES, samples=64, clock_error=0.2)
    assert "of 64 copies of a sample at once" in text_of(many).replace("\n", " ")
    assert "cut off 20% of the time" in text_of(many)
    nothing = withheld(TIMES, "ms", "low_ms", "share")
    assert "all operators below the clock" in text_of(nothing)
    assert "no share can be seen here" in text_of(nothing) and "most of it" not in text_of(nothing)
    with pytest.raises(InputError, match="tflite/int8: no operator of the file has a time above the clock"):
        model_explorer.render_times(nothing)
    figures = CandidateFigures(30.0)
    with pytest.raises(InputError, match="none of its layers could be compared"):
        model_explorer.render_errors(LayerSensitivity("tflite/int8", "", 8, figures, figures, (LayerErrors("a"),)))


def test_node_data_has_values_by_the_tensors_of_the_file():
    data = json.loads(model_explorer.render_times(TIMES))
    assert data["results"] == {"net/conv/Relu": {"value": 30.0}, "net/scores/MatMul": {"value": 60.0}}
    assert [item["stop"] for item in data["gradient"]] == [0, 1]
    layers = (LayerErrors("conv", sqnr_db=31.5, tensors=("conv_integer",)), LayerErrors("scores"))
    figures = CandidateFigures(30.0)
    data = json.loads(model_explorer.render_errors(LayerSensitivity("tflite/int8", "", 8, figures, figures, layers)))
    assert data["results"] == {"conv_integer": {"value": 31.5}}
