"""Divisions whose divisor may round to zero: LiteRT's int8 kernel ends with an error there, so that they stay float."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeship.formats import flatbuffer
from edgeship.optimize.quantize.tflite import divisions


def kinds(path):
    """The type of what each DIV of a file makes."""
    model = flatbuffer.unpack(path.read_bytes())
    names, graph = flatbuffer.operator_names(model), model.subgraphs[0]
    return [graph.tensors[item.outputs[0]].type for item in graph.operators if names[item.opcodeIndex] == "DIV"]


@pytest.mark.parametrize("io", ["int8", "float32"])
@pytest.mark.parametrize("name", ["share", "reciprocal"])
def test_a_division_that_could_fail_stays_float_and_is_told(name, io, lab):
    path, result = lab.tflite(name, io=io, layers=["hidden", name, "score"])
    assert kinds(path) == [flatbuffer.FLOAT32]
    assert any(f"divisor may round to zero in int8: {name}" in note for note in result["notes"])
    assert not any("no int8 form" in note for note in result["notes"])
    assert len(result["float_operators"]) == {"share": 3, "reciprocal": 2}[name]  # SUM, SUB and DIV; ADD and DIV
    feeds = lab.feeds(name)
    expected = lab.run(lab.model(f"{name}.tflite"), feeds)
    assert lab.sqnr(expected, lab.run(path, feeds)) > 25


def test_what_makes_the_divisor_ends_at_weights_and_at_what_is_divided(lab):
    (names,) = divisions.find_float_divisions(Path(lab.model("share.tflite")).read_bytes(), {})
    assert len(names) == 3 and all("share" in name for name in names)


def test_a_division_far_from_zero_is_quantized(lab):
    path, result = lab.tflite("softsign", io="float32")
    assert kinds(path) == [flatbuffer.INT8] and not result["float_operators"]
    lab.run(path, lab.feeds("softsign"))


@pytest.mark.parametrize("precision", ["int8", "int16"])
def test_so_it_does_where_a_search_asks_for_its_layer_in_integers(precision, lab):
    graph = flatbuffer.unpack(Path(lab.model("share.tflite")).read_bytes()).subgraphs[0]
    scopes = [f"{graph.tensors[item.outputs[0]].name.decode()};" for item in graph.operators]
    path, _ = lab.tflite("share", io="float32", mixed={precision: scopes})
    assert kinds(path) == [flatbuffer.FLOAT32]


@pytest.mark.parametrize(
    ("low", "high", "stays"), [(1, 2, False), (1, 2.1, True), (0, 1, True), (-3, 1, True), (-2, -1, False)]
)
def test_by_the_range_that_was_calibrated(low, high, stays, lab):
    content = Path(lab.model("softsign.tflite")).read_bytes()
    model = flatbuffer.unpack(content)
    names, graph = flatbuffer.operator_names(model), model.subgraphs[0]
    division = next(item for item in graph.operators if names[item.opcodeIndex] == "DIV")
    ranges = {graph.tensors[division.inputs[1]].name.decode(): [low, high]}
    assert bool(divisions.find_float_divisions(content, ranges)) == stays
