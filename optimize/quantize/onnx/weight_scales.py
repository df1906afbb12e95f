"""The scales of int8 weights in an `.onnx`: as many of the 8 bits as no x86 processor overflows with, or as were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeship.formats.pair_sums import LIMIT, WEIGHT_INPUTS, Array, WeightLayout, largest_pairs, weight_layout

LARGEST = {7: 64, 8: 127}
_STEP = 1.001  # by which a scale grows while rounding still lets a pair overflow


def choose_scales(weights: Array, layout: WeightLayout, bits: int | str) -> Array:
    """The scale of each output channel (float32), symmetric: of 7 or 8 bits, or with "auto" the finest without overflow.

    With "auto" no weight is beyond 127, and no two neighbours beyond what `pair_sums` allows: between 7 and 8 bits, most often
    7.4. Channels of zeros have a scale of 1.
    """
    rows = layout.rows(weights)
    extremes = np.abs(rows[0]).max(axis=1)
    extremes[extremes == 0] = LARGEST[7]
    scales: Array
    if bits != "auto":
        scales = (extremes / LARGEST[int(bits)]).astype(np.float32)
        return scales
    coarsest = (extremes / LARGEST[7]).astype(np.float32)  # never overflows
    scales = np.maximum(extremes / LARGEST[8], np.max([largest_pairs(part) for part in rows], axis=0) / LIMIT)
    while True:
        scales = np.minimum(scales, coarsest).astype(np.float32)
        sums = [largest_pairs(np.rint(part / scales[:, None])) for part in rows]
        overflowing = (np.max(sums, axis=0) > LIMIT) & (scales < coarsest)
        if not overflowing.any():
            return scales
        scales[overflowing] *= _STEP


def build_overrides(path: Path, bits: int | str) -> dict[str, list[dict[str, Any]]]:
    """Scales for ONNX Runtime's quantizer (its option TensorQuantOverrides) of all weights that could overflow, by name.

    What several operators read in different ways has 7 bits.
    """
    import onnx
    from onnxruntime.quantization import QuantType

    if bits == 8:
        return {}
    graph = onnx.load(str(path)).graph
    constants = {item.name: item for item in graph.initializer}
    layouts: dict[str, set[WeightLayout]] = {}
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in constants:
            continue
        name = node.input[WEIGHT_INPUTS[node.op_type]]
        if layout := weight_layout(node, tuple(constants[name].dims)):
            layouts.setdefault(name, set()).add(layout)
    overrides: dict[str, list[dict[str, Any]]] = {}
    for name, found in layouts.items():
        layout = next(iter(found))
        if len(found) > 1 or layout.channel_axis > 1:  # of batched products ONNX Runtime has one scale
            overrides[name] = [{"quant_type": QuantType.QInt8, "reduce_range": True}]
            continue
        scales = choose_scales(onnx.numpy_helper.to_array(constants[name]), layout, bits)
        overrides[name] = [
            {"quant_type": QuantType.QInt8, "scale": scale, "zero_point": np.int8(0)} for scale in scales
        ]
        overrides[name][0]["axis"] = layout.channel_axis
    return overrides
