"""Neighbouring weights of an `.onnx` whose products x86 processors without VNNI add in 16 bits, which saturate.

VPMADDUBSW multiplies unsigned activations by signed weights and adds two neighbours in a signed 16-bit number (Intel SDM,
volume 2). With activations of up to 255 it holds every sum of neighbours whose weights of one sign add up to at most
32767 // 255 = 128. ONNX Runtime computes convolutions and products of int8 weights with it where there is no VNNI; depthwise
convolutions and uint8 weights go through wider numbers (ONNX Runtime's documentation, "Quantize ONNX models"). Tried on an
emulated Haswell with the activations that are worst for each channel: of 32 layers of many shapes (convolutions of 1 and 2
axes, in groups, with odd numbers of channels; products) all were wrong with 8 bits, and none with pairs within the limit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
LIMIT = 32767 // 255
# Where operators have their weights.
WEIGHT_INPUTS = {
    **dict.fromkeys(("Conv", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"), 1),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), 3),
}


@dataclass(frozen=True)
class WeightLayout:
    """The axis of a weight's output channels, and the orders of its other axes in which kernels may read neighbours."""

    channel_axis: int
    orders: tuple[tuple[int, ...], ...]

    def rows(self, weights: Array) -> list[Array]:
        """A row of neighbours for each channel, in each of the orders."""
        count = weights.shape[self.channel_axis]
        return [weights.transpose(self.channel_axis, *order).reshape(count, -1) for order in self.orders]


def weight_layout(node: Any, shape: tuple[int, ...]) -> WeightLayout | None:
    """How an operator reads weights of that shape; None where it never adds in 16 bits."""
    attributes = {item.name: item.i for item in node.attribute}
    if node.op_type in ("Conv", "ConvInteger", "QLinearConv"):
        if shape[1] == 1 and attributes.get("group", 1) == shape[0]:
            return None
        others = tuple(range(1, len(shape)))
        return WeightLayout(0, (others, (*others[1:], 1)))  # channels first, and channels last
    if node.op_type == "Gemm" and attributes.get("transB"):
        return WeightLayout(0, ((1,),))
    last = len(shape) - 1
    return WeightLayout(last, (tuple(range(last)),)) if last else None


def largest_pairs(rows: Array) -> Array:
    """By channel the largest sum of two neighbours, each as far as it has the same sign (channels,)."""
    if rows.shape[1] < 2:
        return np.zeros(len(rows))
    halves = (np.maximum(sign * rows, 0) for sign in (1, -1))
    largest: Array = np.max([(half[:, 1:] + half[:, :-1]).max(axis=1) for half in halves], axis=0)
    return largest


def may_overflow(weights: Array, layout: WeightLayout) -> bool:
    """Whether activations exist for which int8 weights overflow."""
    return any((largest_pairs(rows.astype(np.int32)) > LIMIT).any() for rows in layout.rows(weights))
