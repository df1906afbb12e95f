"""Bounds of fused activations that integers of a tiny scale never reach.

Where values are tiny, as behind many layers of random weights, the scale of an output is too: RELU6's bound of 6 is then more
than 2^31 steps away, and TFLite's own kernels refuse to open the file (`no_integer_overflow_from_quantization` in its
kernel_util.cc; XNNPACK does not look). What int8 or int16 hold ends far below, so RELU gives the same integers.
"""

from __future__ import annotations

from typing import Any

from edgeship.formats import flatbuffer

_MOST = 2.0**31 - 1  # steps that a kernel can count
_INTEGERS = (flatbuffer.INT8, flatbuffer.INT16)


def drop_unreachable_bounds(model: Any) -> None:
    """Replace such activations of a quantized `ModelT`, in place: RELU6 by RELU, RELU_N1_TO_1 by none."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.ActivationFunctionType
    bounds = {kinds.RELU6: (6.0, kinds.RELU), kinds.RELU_N1_TO_1: (1.0, kinds.NONE)}
    for graph in model.subgraphs:
        for operator in graph.operators:
            bound, same = bounds.get(getattr(operator.builtinOptions, "fusedActivationFunction", None), (0.0, None))
            tensor = graph.tensors[operator.outputs[0]] if len(operator.outputs) else None
            if same is None or tensor is None or tensor.type not in _INTEGERS or tensor.quantization is None:
                continue
            if bound > _MOST * float(tensor.quantization.scale[0]):
                operator.builtinOptions.fusedActivationFunction = same
