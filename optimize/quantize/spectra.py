"""Spectra that a model makes of its inputs: they stay float, since 8 bits do not hold powers that a logarithm is taken of.

A log-mel spectrum in a model is linear in the samples up to a product, the power, and ends with a logarithm: from a whisper to a
shout powers span eight decades, of which int8 holds two. No network computes so, without any activation function between the
inputs and a logarithm, so that the operators tell it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeship.light_dataclass import dataclass

LOGARITHMS = ("LOG", "Log")
PRODUCTS = ("MUL", "SQUARE", "POW", "ABS", "Mul", "Pow", "Abs")
# What has its value at the first input; the others are constants, shapes, or a kernel.
_ONE_INPUT = (
    *(
        "CONV_2D",
        "FULLY_CONNECTED",
        "BATCH_MATMUL",
        "SQUARE",
        "POW",
        "ABS",
        "SQRT",
        "MEAN",
        "SUM",
        "RESHAPE",
        "EXPAND_DIMS",
    ),
    *(
        "SQUEEZE",
        "TRANSPOSE",
        "PAD",
        "STRIDED_SLICE",
        "CAST",
        "Conv",
        "Gemm",
        "MatMul",
        "Pow",
        "Abs",
        "Sqrt",
        "ReduceMean",
    ),
    *("ReduceSum", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Pad", "Slice", "Cast", "Identity"),
)
_ALL_INPUTS = ("ADD", "SUB", "MUL", "MAXIMUM", "CONCATENATION", "Add", "Sub", "Mul", "Max", "Concat", "Sum")
_KERNELS = ("CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class Operator:
    """An operator of a float file: its kind as the format names it, what it makes, and the tensors it takes, without constants.

    `activates`: an activation function is part of it.
    """

    kind: str
    output: str
    inputs: tuple[str, ...]
    activates: bool = False


def find_spectra(inputs: Sequence[str], operators: Sequence[Operator]) -> list[str]:
    """The tensors between the inputs and logarithms of their spectra, with what the logarithms make."""
    makers = {item.output: item for item in operators}
    found = dict[str, None]()
    for item in operators:
        if item.kind in LOGARITHMS and (made := _trace_spectrum(item, makers, inputs)):
            found |= dict.fromkeys(made)
    return list(found)


def _trace_spectrum(logarithm: Operator, makers: Mapping[str, Operator], inputs: Sequence[str]) -> list[str]:
    """All that leads from inputs to the logarithm of a spectrum; nothing where it is of anything else."""
    found, pending, kinds = {logarithm.output}, list(logarithm.inputs), set[str]()
    while pending:
        name = pending.pop()
        if name in found or name in inputs:
            continue
        maker = makers.get(name)
        if maker is None or maker.activates or maker.kind not in (*_ONE_INPUT, *_ALL_INPUTS) or not maker.inputs:
            return []
        kinds.add(maker.kind)
        found.add(name)
        pending += maker.inputs if maker.kind in _ALL_INPUTS else maker.inputs[:1]
    is_spectrum = kinds & {*_KERNELS} and kinds & {*PRODUCTS}
    return sorted(found) if is_spectrum else []


def describe(tensors: Sequence[str]) -> list[str]:
    """A note on what stays float, for people."""
    if not tensors:
        return []
    return [
        "float32 stay the inputs and the spectrum that is made of them: 8 bits do not hold the powers under a logarithm"
    ]
