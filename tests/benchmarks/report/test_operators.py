"""Times per operator in the terminal, and figures as node data of Model Explorer."""

import io
import json
from dataclasses import replace

from rich.console import Console

from edgeship.benchmarks.report.layers import model_explorer, operator_table
from edgeship.bundle.comparisons import CandidateFigures, LayerErrors, LayerSensitivity
from edgeship.bundle.measurement import OperatorTime, OperatorTimes

OPERATORS = (
    OperatorTime("net/conv/Relu", "CONV_2D", "Convolution (NHWC, F32) IGEMM", 0.3, ("conv",)),
    OperatorTime("", "", "Static Reshape (NC)", 0.1),
    OperatorTime("net/scores/MatMul", "FULLY_CONNECTED", "FULLY_CONNECTED", 0.6, ("scores",)),
)
TIMES = OperatorTimes(OPERATORS, 1.0, 100, "tflite/int8", "litert", "2.3.0")


def text_of(times):
    out = io.StringIO()
    Console(width=120, file=out).print(operator_table.render(times, 120))
    return out.getvalue()


def test_the_slowest_come_first_with_their_layers():
    lines = text_of(TIMES).splitlines()
    rows = [line.split() for line in lines[1:4]]
    assert [row[0] for row in rows] == ["scores", "conv", "-"]
    assert rows[0][-3:] == ["0.6", "ms", "60.0%"]
    assert "most of it: scores (60.0%); conv (30.0%)" in text_of(TIMES)


def test_a_busy_machine_leaves_shares_alone():
    text = text_of(replace(TIMES, busy="3 other processes want the 2 cores"))
    assert "60.0%" in text and "shares only" in text and "no times, as the machine was too busy: 3 other" in text
    assert " ms" not in text


def test_node_data_has_values_by_the_tensors_of_the_file():
    data = json.loads(model_explorer.render_times(TIMES))
    assert data["results"] == {"net/conv/Relu": {"value": 30.0}, "net/scores/MatMul": {"value": 60.0}}
    assert [item["stop"] for item in data["gradient"]] == [0, 1]
    layers = (LayerErrors("conv", sqnr_db=31.5, tensors=("conv_integer",)), LayerErrors("scores"))
    figures = CandidateFigures(30.0)
    data = json.loads(model_explorer.render_errors(LayerSensitivity("tflite/int8", "", 8, figures, figures, layers)))
    assert data["results"] == {"conv_integer": {"value": 31.5}}
