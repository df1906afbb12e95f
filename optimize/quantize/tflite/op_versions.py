"""Operator versions, which litert-quantizer 0.11 leaves at 1: an older runtime then runs what it does not understand."""

from __future__ import annotations

from typing import Any

from edgeship.formats import flatbuffer

# What takes float activations and int8 weights with a scale per channel, and from which version on (TFLite's
# op_version.cc). The runtimes of 2023 take one scale for all channels of a FULLY_CONNECTED and answer wrongly.
_PER_CHANNEL_HYBRID = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 12}
# op_version.cc has none for blocks of 4 bits. LiteRT 1.4 takes up to 13, and answers wrongly: one in four samples of a text
# model; 2.3 takes 14.
_BLOCKS = 14


def mark_op_versions(content: bytes) -> bytes:
    """The `.tflite` with the versions that its dynamically quantized operators need, so that an older runtime refuses it.

    Packed anew also where none changes: litert-quantizer 0.11 leaves weights aligned to 4 bytes, where the schema asks for 16.
    """
    model = flatbuffer.unpack(content)
    names = flatbuffer.operator_names(model)
    for graph in model.subgraphs:
        for operator in graph.operators:
            name, code = names[operator.opcodeIndex], model.operatorCodes[operator.opcodeIndex]
            if name not in _PER_CHANNEL_HYBRID:
                continue
            activation, weights = (graph.tensors[index] for index in operator.inputs[:2])
            in_blocks = hasattr(weights.quantization and weights.quantization.details, "blockSize")
            if in_blocks or _per_channel_hybrid(activation, weights):
                code.version = max(code.version, _BLOCKS if in_blocks else _PER_CHANNEL_HYBRID[name])
    return flatbuffer.pack(model)


def _per_channel_hybrid(activation: Any, weights: Any) -> bool:
    quantization = weights.quantization
    scales = quantization.scale if quantization is not None else None
    return (
        activation.type == flatbuffer.FLOAT32
        and weights.type == flatbuffer.INT8
        and scales is not None
        and len(scales) > 1
    )
