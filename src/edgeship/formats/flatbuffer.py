"""A `.tflite` as objects of its flatbuffer schema (`ModelT`), and back: small, aligned, without what nothing uses."""

from __future__ import annotations

from typing import Any

import numpy as np

# TensorType of the schema.
FLOAT32, FLOAT16, INT32, INT64, INT16, INT8 = 0, 1, 2, 4, 7, 9

# Lists of int32; what is written as an array is stored once where it is equal.
_INT32 = {"tensors": ("shape", "shapeSignature"), "operators": ("inputs", "outputs")}


def unpack(content: bytes) -> Any:
    """The `ModelT` of a file's bytes."""
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def operator_names(model: Any) -> list[str]:
    """What each operator code of a `ModelT` stands for, such as `CONV_2D`."""
    from ai_edge_litert.tools import flatbuffer_utils

    codes = range(len(model.operatorCodes))
    return [str(flatbuffer_utils.opcode_to_name(model, index) or "CUSTOM") for index in codes]


def pack(model: Any) -> bytes:
    """The bytes of a `ModelT`.

    Equal vectors (shapes, and the zero points of every channel, 8 bytes each) are stored once, which any reader of the
    format follows: 2 % of a small int8 model. Weights are aligned to 16 bytes as the schema asks; the generated Python
    code does neither.
    """
    import flatbuffers

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        stored: dict[tuple[str, bytes], int]

        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
            offset: int = super().StartVector(elemSize, numElems, max(alignment, 16) if elemSize == 1 else alignment)
            return offset

        def CreateNumpyVector(self, x: Any) -> int:
            key = x.dtype.str, x.tobytes()
            if key not in self.stored:
                self.stored[key] = super().CreateNumpyVector(x)
            return self.stored[key]

    _as_arrays(model)
    builder = Builder(1 << 20)
    builder.stored = {}
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _as_arrays(model: Any) -> None:
    for buffer in model.buffers:
        if buffer.data is not None:  # what is no array is written byte by byte, which takes seconds
            buffer.data = np.asarray(buffer.data, np.uint8)
    for graph in model.subgraphs:
        for part, fields in _INT32.items():
            for item in getattr(graph, part) or []:
                for field in fields:
                    if getattr(item, field) is not None:
                        setattr(item, field, np.asarray(getattr(item, field), np.int32))
        for tensor in graph.tensors or []:
            if tensor.quantization is not None and tensor.quantization.zeroPoint is not None:
                tensor.quantization.zeroPoint = np.asarray(tensor.quantization.zeroPoint, np.int64)


def drop_unused(model: Any) -> None:
    """Leave out tensors and operator codes that nothing uses, and what their buffers held, in place.

    Names and scales of tensors are a tenth of a small file, and a runtime asks for a kernel of every operator code.
    """
    for number, graph in enumerate(model.subgraphs):
        _drop_tensors(graph, [item for item in model.signatureDefs or [] if item.subgraphIndex == number])
    operators = [item for graph in model.subgraphs for item in graph.operators or []]
    codes = sorted({int(item.opcodeIndex) for item in operators})
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
    for item in operators:
        item.opcodeIndex = codes.index(int(item.opcodeIndex))
    held = {0} | {int(tensor.buffer) for graph in model.subgraphs for tensor in graph.tensors or []}
    held |= {int(item.buffer) for item in model.metadata or []} | {int(index) for index in _list(model.metadataBuffer)}
    for index, buffer in enumerate(model.buffers):
        if index not in held:
            buffer.data = None


def _drop_tensors(graph: Any, signatures: list[Any]) -> None:
    operators = graph.operators or []
    lists = [graph.inputs, graph.outputs]
    lists += [side for item in operators for side in (item.inputs, item.outputs, _list(item.intermediates))]
    # Weights in blocks have their scales in tensors of their own.
    blocks = [tensor.quantization.details for tensor in graph.tensors if tensor.quantization is not None]
    blocks = [details for details in blocks if hasattr(details, "blockSize")]
    lists.append([index for details in blocks for index in (details.scales, details.zeroPoints)])
    used = sorted({int(index) for places in lists for index in _list(places) if index >= 0})
    place = {old: new for new, old in enumerate(used)}
    graph.tensors = [graph.tensors[index] for index in used]
    for owner in (graph, *operators):
        for side in ("inputs", "outputs", "intermediates"):
            if (places := getattr(owner, side, None)) is not None:
                setattr(owner, side, [place.get(int(index), -1) for index in places])
    for details in blocks:
        details.scales, details.zeroPoints = (place.get(index, -1) for index in (details.scales, details.zeroPoints))
    for signature in signatures:
        for item in (*signature.inputs, *signature.outputs):
            item.tensorIndex = place[int(item.tensorIndex)]


def _list(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def fix_batch(content: bytes) -> bytes:
    """The `.tflite` with every open axis of its tensors at the size that is stored with it: a batch of one.

    Runtimes that take fixed shapes only refuse the others.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        for tensor in graph.tensors or []:
            tensor.shapeSignature = None
    return pack(model)
