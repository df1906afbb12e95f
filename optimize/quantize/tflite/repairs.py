"""What litert-quantizer 0.11 gets wrong, above all at the ends of a model, put right: found by running what it wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeship.formats import flatbuffer
from edgeship.optimize.quantize.tflite import bias_overflow, int8_coverage, unreachable_bounds


def repair_ends(
    content: bytes,
    before: bytes,
    io: str,
    ranges: int8_coverage.Ranges,
    integer: Callable[[str], bool] = lambda _: True,
) -> bytes:
    """The quantized file `content` made of the float file `before`, with biases, coverage by int8 and ends put right."""
    model, original = map(flatbuffer.unpack, (content, before))
    _repair_outputs(model, original, io)
    bias_overflow.fit_biases(model, original)
    int8_coverage.extend_int8_coverage(model, ranges, integer)
    unreachable_bounds.drop_unreachable_bounds(model)
    flatbuffer.drop_unused(model)
    _restore_dynamic_axes(model, original)
    _restore_names(model, original)
    return flatbuffer.pack(model)


def _repair_outputs(model: Any, original: Any, io: str) -> None:
    """Let the graph and its signature agree on the outputs.

    Where an output is read by an operator that stays float, the graph ends in the DEQUANTIZE made for that operator
    while the signature still names the integer tensor: LiteRT then has no value for it.
    """
    for signature, original_signature in zip(model.signatureDefs, original.signatureDefs, strict=True):
        graph, order = (
            model.subgraphs[signature.subgraphIndex],
            original.subgraphs[original_signature.subgraphIndex].outputs,
        )
        places = {item.name: order.index(item.tensorIndex) for item in original_signature.outputs}
        for item in signature.outputs:
            place = places[item.name]
            if graph.outputs[place] == item.tensorIndex:
                continue
            if (graph.tensors[item.tensorIndex].type == flatbuffer.FLOAT32) == (io == "float32"):
                graph.outputs[place] = item.tensorIndex
            else:
                item.tensorIndex = graph.outputs[place]


def _restore_names(model: Any, original: Any) -> None:
    """Give the ends their names back: a QUANTIZE or DEQUANTIZE that is put in ends in a tensor of another name."""
    for graph, original_graph in zip(model.subgraphs, original.subgraphs, strict=True):
        ends = {
            index_now: original_graph.tensors[index_before].name
            for side in ("inputs", "outputs")
            for index_now, index_before in zip(getattr(graph, side), getattr(original_graph, side), strict=True)
        }
        end_names = set(ends.values())
        for index, tensor in enumerate(graph.tensors):
            if index in ends:
                tensor.name = ends[index]
            elif tensor.name in end_names:
                tensor.name = tensor.name + b"/inner_%d" % index


def _restore_dynamic_axes(model: Any, original: Any) -> None:
    """Give the ends their dynamic axes back: the tensors that are put in at a float end come with fixed shapes."""
    for graph, original_graph in zip(model.subgraphs, original.subgraphs, strict=True):
        for side in ("inputs", "outputs"):
            for index_now, index_before in zip(getattr(graph, side), getattr(original_graph, side), strict=True):
                graph.tensors[index_now].shapeSignature = original_graph.tensors[index_before].shapeSignature
