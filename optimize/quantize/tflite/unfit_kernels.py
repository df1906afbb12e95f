"""Kernels of a float `.tflite` that a recipe without calibration would ruin, most often since a scaling was folded into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgeship.data import Array
from edgeship.formats import flatbuffer
from edgeship.formats.float16 import fits_float16
from edgeship.optimize.quantize import input_scaling
from edgeship.optimize.quantize.tflite import reader

# Weights of a dense layer at the inputs that may stay float: more would be a good part of the file.
MOST_WEIGHTS = 1 << 14
# dB of a feature's weights over what storing them takes: at 10 dB of 8 bits they are a step large, and the floor of a float16
# file is 30 dB.
LEAST_SNR_DB = {"float16": 40.0, "int8": 10.0}


def find_unfit_kernels(content: bytes, recipe: str) -> list[str]:
    """The outputs of operators with such kernels: beyond float16, or of a dense layer at the inputs that loses a feature.

    Raw features into a `BatchNormalization` that was folded into the dense layer behind it: the weights of one feature are a
    million times those of another, which are 0 at 8 bits. The network is blind to it then: four seeds lost 49 to 52 points of
    94 with 8 bits, and up to 0.9 with float16.
    """
    model, kind = flatbuffer.unpack(content), "float16" if recipe == "float16" else "int8"
    beyond = _find_beyond_float16(model) if kind == "float16" else ()
    return list(dict.fromkeys((*beyond, *_find_losing(model, kind))))


def describe(outputs: list[str]) -> list[str]:
    """A note on what stays float, for people."""
    return (
        [f"{len(outputs)} operator(s) stay float32: their weights are too far apart for a smaller type"]
        if outputs
        else []
    )


def _find_beyond_float16(model: Any) -> Iterator[str]:
    for graph in model.subgraphs:
        for operator in graph.operators:
            tensors = [graph.tensors[index] for index in operator.inputs if index >= 0]
            kernels = [
                item
                for item in tensors
                if item.type == flatbuffer.FLOAT32 and item.shape is not None and len(item.shape) > 1
            ]
            stored = [model.buffers[item.buffer].data for item in kernels]
            values = (np.frombuffer(bytes(data), np.float32) for data in stored if data is not None)
            if not all(map(fits_float16, values)):
                yield graph.tensors[operator.outputs[0]].name.decode()


def _find_losing(model: Any, kind: str) -> Iterator[str]:
    for signature in model.signatureDefs or []:
        inputs, operators = reader.input_operators(model, signature)
        for item in input_scaling.scaling_at(list(inputs.values()), operators):
            kernel = item.inputs[-1]
            if item.kind == "DENSE" and not isinstance(kernel, str) and loses_a_feature(kernel, kind):
                yield item.output


def loses_a_feature(kernel: Array, kind: str) -> bool:
    """Whether the weights (features, units) of any feature are too small to be stored; int8 has a scale for each unit."""
    if kernel.size > MOST_WEIGHTS:
        return False
    scale = np.abs(kernel).max(axis=0) / 127
    scale[scale == 0] = 1
    with np.errstate(over="ignore"):
        stored = kernel.astype(np.float16) if kind == "float16" else np.rint(kernel / scale) * scale
    noise, signal = (np.square(values, dtype=np.float64).sum(axis=1) for values in (stored - kernel, kernel))
    return bool((noise > signal / 10 ** (LEAST_SNR_DB[kind] / 10)).any())
