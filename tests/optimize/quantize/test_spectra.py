"""Spectra inside of models: found in both formats, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from edgeship.optimize.quantize.spectra import Operator, find_spectra

# A log-mel spectrum as both formats have it, then a network.
TFLITE = (
    Operator("MUL", "scaled", ("sound",)),
    Operator("RESHAPE", "values", ("scaled", "shape")),
    Operator("CONV_2D", "cosine", ("values",)),
    Operator("CONV_2D", "sine", ("values",)),
    Operator("MUL", "cosine_power", ("cosine", "cosine")),
    Operator("MUL", "sine_power", ("sine", "sine")),
    Operator("ADD", "power", ("cosine_power", "sine_power")),
    Operator("FULLY_CONNECTED", "mel", ("power",)),
    Operator("ADD", "above", ("mel",)),
    Operator("LOG", "spectrum", ("above",)),
    Operator("CONV_2D", "hidden", ("spectrum",), activates=True),
    Operator("FULLY_CONNECTED", "score", ("hidden",)),
)
ONNX_KINDS = {
    "MUL": "Mul", "RESHAPE": "Reshape", "CONV_2D": "Conv", "ADD": "Add", "FULLY_CONNECTED": "MatMul", "LOG": "Log",
}  # fmt: skip
ONNX = tuple(Operator(ONNX_KINDS[item.kind], item.output, item.inputs, item.activates) for item in TFLITE)


@pytest.mark.parametrize("operators", [TFLITE, ONNX])
def test_all_between_the_sound_and_the_logarithm_is_the_spectrum(operators: tuple[Operator, ...]) -> None:
    names = {item.output for item in operators} - {"hidden", "score"}
    assert set(find_spectra(["sound"], operators)) == names


@pytest.mark.parametrize(
    "operators",
    [
        # the logarithm of a network's answers, as in a log-softmax
        (*TFLITE[2:8], Operator("FULLY_CONNECTED", "out", ("mel",), activates=True), Operator("LOG", "l", ("out",))),
        (
            Operator("CONV_2D", "h", ("values",)), Operator("RELU", "r", ("h",)), Operator("MUL", "p", ("r", "r")),
            Operator("LOG", "l", ("p",)),
        ),
        (Operator("FULLY_CONNECTED", "h", ("values",)), Operator("SOFTMAX", "s", ("h",)), Operator("LOG", "l", ("s",))),
        # the logarithm of a raw feature, or of a linear function: no power
        (Operator("ADD", "a", ("values",)), Operator("LOG", "l", ("a",))),
        (Operator("FULLY_CONNECTED", "h", ("values",)), Operator("LOG", "l", ("h",))),
        # made of something that is no input
        (Operator("CONV_2D", "h", ("elsewhere",)), Operator("MUL", "p", ("h", "h")), Operator("LOG", "l", ("p",))),
        TFLITE[:9],
    ],
)  # fmt: skip
def test_other_logarithms_are_of_no_spectrum(operators: tuple[Operator, ...]) -> None:
    assert find_spectra(["values"], operators) == []
