"""A `.tflite` whose structure lies, repeats itself or is very long: a sentence, or as much of it as fits."""

from __future__ import annotations

import unicodedata

import pytest

from tests.hostile.files.command import check_refused, edgeship
from tests.hostile.files.small_files import write_repeated_tflite, write_tflite


def _sparse(model):
    from ai_edge_litert import schema_py_generated as schema

    tensor = model.subgraphs[0].tensors[1]
    tensor.sparsity, tensor.shape = schema.SparsityParametersT(traversalOrder=[0, 1]), [1 << 20, 1 << 20]


def _negative(model):
    model.subgraphs[0].tensors[1].shape = [-4, 4]


def _overflowing(model):
    model.subgraphs[0].tensors[1].shape = [2**31 - 1] * 8


def _huge_input(model):
    model.subgraphs[0].tensors[0].shape = [2**31 - 1] * 3


def _no_such_type(model):
    model.subgraphs[0].tensors[0].type = 113


def _no_such_tensor(model):
    model.subgraphs[0].outputs = [77]


def _scale_of_nothing(model):
    from ai_edge_litert import schema_py_generated as schema

    tensor = model.subgraphs[0].tensors[0]
    tensor.type = 9
    tensor.quantization = schema.QuantizationParametersT(scale=[float("nan")], zeroPoint=[0])


@pytest.mark.parametrize(
    "change",
    [_sparse, _negative, _overflowing, _huge_input, _no_such_type, _no_such_tensor, _scale_of_nothing],
    ids=lambda item: item.__name__[1:],
)
def test_a_tflite_that_lies(change, tmp_path):
    path = write_tflite(tmp_path / "m.tflite", change)
    check_refused(edgeship("inspect", path, "--json", tmp_path / "out.json"), "")


def test_a_tflite_of_this_kind_that_does_not_lie(tmp_path):
    done = edgeship("inspect", write_tflite(tmp_path / "m.tflite", lambda model: None))
    assert done.returncode == 0 and "x: 2x2 float32" in done.stdout


def test_a_tflite_whose_lists_are_used_again_and_again(tmp_path):
    """Every graph is the same list of tensors: 200 KB that unpack to 400 million objects."""
    path = write_repeated_tflite(tmp_path / "m.tflite", graphs=20_000, tensors=20_000)
    check_refused(edgeship("inspect", path), "m.tflite", "more tensors and operators than it holds")


def test_a_tflite_whose_names_are_used_again_and_again(tmp_path):
    """Every tensor has the same name: 300 KB that unpack to 4 GB."""
    path = write_repeated_tflite(tmp_path / "m.tflite", graphs=1, tensors=40_000, name="x" * 100_000)
    check_refused(edgeship("inspect", path), "m.tflite", "more memory")


def test_names_that_steer_a_terminal(tmp_path):
    def rename(model):
        model.subgraphs[0].tensors[0].name = "a\x1b]0;owned\x07\u202eb\x1b[31m\ngate: PASS[bold]"

    done = edgeship("inspect", write_tflite(tmp_path / "m.tflite", rename))
    assert done.returncode == 0, done.stderr
    assert r"a\x1b]0;owned\x07\u202eb\x1b[31m" in done.stdout and "[bold]" in done.stdout
    assert not [char for char in done.stdout if char != "\n" and unicodedata.category(char) in ("Cc", "Cf")]
    assert not [line for line in done.stdout.splitlines() if line.startswith("gate")]


def test_a_model_of_thousands_of_operators_is_shown_in_part(tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    def change(model):
        codes = [(f"op{number}" + "x" * 5000).encode() for number in range(300)]
        model.operatorCodes = [
            schema.OperatorCodeT(builtinCode=32, deprecatedBuiltinCode=32, customCode=code) for code in codes
        ]
        graph = model.subgraphs[0]
        graph.operators = [schema.OperatorT(opcodeIndex=number, inputs=[0, 1], outputs=[2]) for number in range(300)]
        graph.inputs = [0] * 3000

    path = tmp_path / "m.tflite"
    write_tflite(path, change)
    done = edgeship("inspect", path)
    assert done.returncode == 0 and "and 100 more" in done.stdout and "and 2,800 more" in done.stdout
    assert len(done.stdout) < 500_000 and "op299x" not in done.stdout
