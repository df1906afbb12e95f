"""Divisions that stay float: LiteRT's int8 kernel ends with an error where a divisor rounds to zero (tflite/kernels/div.cc).

What calibration saw does not bound what a device will see, so that a divisor must lie far from zero. TFLite's own converter
quantizes such divisions, and its files fail alike. Other operators with a pole at zero have int8 kernels that saturate (RSQRT,
LOG), or none that litert-quantizer knows (FLOOR_DIV, FLOOR_MOD), and stay float with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeship.formats import flatbuffer
from edgeship.formats.layer_names import LayerNames
from edgeship.optimize.quantize.tflite import mixed_precision

# The largest magnitude of a divisor over its least: its rounding then costs the quotient no more than a step of its own (half
# a step of 255 at the largest magnitude is one such step at half of it, relative to the value).
LARGEST_SPAN = 2.0


def find_float_divisions(content: bytes, ranges: Mapping[str, Sequence[float]]) -> list[str]:
    """The tensors that divisions of a float `.tflite` make that must stay float; `ranges`: minimum and maximum by tensor."""
    model = flatbuffer.unpack(content)
    names = flatbuffer.operator_names(model)
    return [
        graph.tensors[operator.outputs[0]].name.decode()
        for graph in model.subgraphs
        for operator in graph.operators or []
        if names[operator.opcodeIndex] == "DIV"
        and graph.tensors[operator.outputs[0]].type == flatbuffer.FLOAT32
        and _may_round_to_zero(model, graph.tensors[operator.inputs[1]], ranges)
    ]


def keep_float(mixed: mixed_precision.Mixed | None, divisions: Sequence[str]) -> mixed_precision.Mixed | None:
    """`mixed` with those divisions float, in a file with few layers in "int8", too."""
    if mixed and "int8" in mixed:
        return {"int8": [scope for scope in mixed["int8"] if scope.removesuffix(";") not in divisions]}
    return mixed_precision.keep_float(mixed, divisions)


def _may_round_to_zero(model: Any, divisor: Any, ranges: Mapping[str, Sequence[float]]) -> bool:
    data = model.buffers[divisor.buffer].data
    values = np.asarray(data, np.uint8).view(np.float32) if data is not None else ranges.get(divisor.name.decode())
    if values is None or not len(values):
        return True
    low, high = float(np.min(values)), float(np.max(values))
    least, largest = sorted(map(abs, (low, high)))
    return low <= 0 <= high or largest > LARGEST_SPAN * least


def describe(divisions: Sequence[str], layers: Sequence[str]) -> list[str]:
    """A note on divisions that stay float, for people; by the Keras `layers`, as far as they are known."""
    if not divisions:
        return []
    known = LayerNames(layers, divisions)
    places = list(dict.fromkeys(next(iter(known.layers_of(name)), name) for name in divisions))
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return [f"float32 stays a division whose divisor may round to zero in int8: {', '.join(places[:3])}{more}"]
