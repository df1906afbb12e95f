"""Sparsity as an artifact really holds it: the zeros of its constants, against what was asked of the model's kernels.

Converters rename, transpose and reshape kernels, but neither add nor drop values: a kernel is found by its number of values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle.receipt import TensorSparsity
from edgeship.errors import CheckError
from edgeship.typed_json import convert

Array = np.ndarray[Any, Any]
SLACK = 2e-3  # rounding of the number of values that stay
_TYPES = {0: np.float32, 1: np.float16, 9: np.int8}  # TensorType of the TFLite schema: what kernels are stored as


def check(path: str, format: str, asked: Sequence[Mapping[str, Any]]) -> list[TensorSparsity]:
    """The rows of `asked` (TensorSparsity as JSON) with what the artifact has.

    Raises CheckError naming the tensors of the artifact that have fewer zeros than were asked for.
    """
    tensors = convert(list[TensorSparsity], asked)
    readers = {"tflite": _tflite, "onnx": _onnx}
    if format not in readers:
        return [replace(row, reason=f"edgeship does not read the weights of {format} back") for row in tensors]
    shares: dict[int, list[float]] = {}
    for array, zero_point in readers[format](Path(path)):
        shares.setdefault(array.size, []).append(float(np.mean(array == zero_point)))
    rows = []
    for row in tensors:
        candidates = shares.get(row.values, [])
        share = max(candidates, default=None)
        if share is None:
            rows.append(replace(row, reason="no constant of that size: the converter split or merged it"))
        else:
            candidates.remove(share)
            rows.append(replace(row, artifact=share))
    missed = [
        f"{row.tensor} {row.artifact:.1%} of {row.asked:.1%}"
        for row in rows
        if row.artifact is not None and row.artifact < row.asked - max(SLACK, 1 / row.values)
    ]
    if missed:
        raise CheckError(f"fewer zeros in the artifact than were asked for: {', '.join(missed[:8])}")
    return rows


def _tflite(path: Path) -> Iterator[tuple[Array, int]]:
    """The constants with their zero points."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or tensor.type not in _TYPES:
                continue
            quantization = tensor.quantization
            points = quantization.zeroPoint if quantization is not None and quantization.zeroPoint is not None else [0]
            array = np.frombuffer(bytes(data), _TYPES[tensor.type])
            whole = int(np.prod(tensor.shape))
            if tensor.sparsity is not None:
                array = np.pad(array, (0, whole - array.size))  # the zeros that are not stored
            if array.size and array.size == whole:
                yield array, int(points[0])


def _onnx(path: Path) -> Iterator[tuple[Array, int]]:
    """The initializers; int8 weights are symmetric."""
    import onnx
    from onnx import numpy_helper

    for item in onnx.load(str(path)).graph.initializer:
        array = numpy_helper.to_array(item)
        if array.dtype in (np.float32, np.float16, np.int8):
            yield array, 0
