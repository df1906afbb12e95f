"""How the buffers of a `.tflite` lie in the file, read without the code under test."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema


def alignments(content: bytes) -> list[int]:
    """Of every buffer that holds something: the largest power of two, at most 64, that its place is a multiple of."""
    model = schema.Model.GetRootAsModel(content, 0)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    places = [item._tab.Vector(item._tab.Offset(4)) for item in buffers if item.DataLength()]
    return [next(size for size in (64, 32, 16, 8, 4, 2, 1) if place % size == 0) for place in places]
