"""Divisions that stay float: LiteRT's int8 kernel ends with an error where a divisor rounds to zero (tflite/kernels/div.cc).

What calibration saw does not bound what a device will see, so that a divisor must lie far from zero. TFLite's own converter
quantizes such divisions, and its files fail alike. Other operators with a pole at zero have int8 kernels that saturate (RSQRT,
LOG), or none that litert-quantizer knows (FLOOR_DIV, FLOOR_MOD), and stay float with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from edgeship.formats import flatbuffer
from edgeship.formats.layer_names import LayerNames
from edgeship.optimize.quantize.tflite import mixed_precision

# The largest magnitude of a divisor over its least: its rounding then costs the quotient no more than a step of its own (half
# a step of 255 at the largest magnitude is one such step at half of it, relative to the value).
LARGEST_SPAN = 2.0
# Without weights, so that they are cheap in float.
_PLAIN = (
    *("ADD", "SUB", "MUL", "DIV", "NEG", "ABS", "SQUARE", "SQRT", "RSQRT", "POW", "EXP", "LOG", "MAXIMUM", "MINIMUM"),
    *("SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "SQUARED_DIFFERENCE", "RELU", "RESHAPE", "EXPAND_DIMS", "SQUEEZE"),
)


def find_float_divisions(content: bytes, ranges: Mapping[str, Sequence[float]]) -> list[list[str]]:
    """The divisions of a float `.tflite` that must stay float, by the tensors that they and what makes their divisors make.

    `ranges`: minimum and maximum by tensor. What makes a divisor out of what is divided is float as well: rounded to int8, a
    small sum with a tiny number added to it would be zero all the same, or tiny.
    """
    model = flatbuffer.unpack(content)
    names = flatbuffer.operator_names(model)
    found = []
    for graph in model.subgraphs:
        makers = {int(index): item for item in graph.operators or [] for index in item.outputs}
        for operator in graph.operators or []:
            if names[operator.opcodeIndex] != "DIV" or graph.tensors[operator.outputs[0]].type != flatbuffer.FLOAT32:
                continue
            numerator, divisor = map(int, operator.inputs)
            if _may_round_to_zero(model, graph.tensors[divisor], ranges):
                before = _upstream(numerator, makers)
                made = _upstream(divisor, makers, lambda item: names[item.opcodeIndex] in _PLAIN, before)
                tensors = [int(operator.outputs[0]), *sorted(index for index in made if index in makers)]
                found.append([graph.tensors[index].name.decode() for index in tensors])
    return found


def _upstream(
    tensor: int,
    makers: Mapping[int, Any],
    passes: Callable[[Any], bool] = lambda _: True,
    stop: Set[int] = frozenset(),
) -> set[int]:
    """The tensor and all that it is made of, through operators that it `passes`; neither those of `stop`, nor what is before."""
    found, pending = set[int](), [tensor]
    while pending:
        index = pending.pop()
        if index in found or index in stop or (index in makers and not passes(makers[index])):
            continue
        found.add(index)
        pending += [int(item) for item in makers[index].inputs if item >= 0] if index in makers else []
    return found


def keep_float(mixed: mixed_precision.Mixed | None, divisions: Sequence[str]) -> mixed_precision.Mixed | None:
    """`mixed` with the operators that make those tensors float, in a file with few layers in "int8", too."""
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
