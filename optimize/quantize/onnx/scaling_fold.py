"""A scaling of features in mid-network, folded into the dense kernel behind it where that suits int8.

int8 has one range for all features of a tensor: behind a scaling that makes two of them 400 times larger the others had less
than a step, and the output 6 dB, though the kernel behind it took the 400 back. TFLite's converter folds such a product by
itself, ONNX Runtime does not. The product is the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Array

GAIN = 10.0  # 10 dB of noise: features that are not alike, as is assumed, cost some of it
MEAN_SQUARE = 0.1  # of activations, in units of their range


def fold_scalings(path: Path, at_inputs: Collection[str]) -> None:
    """Fold each fitting `Mul` of the float `.onnx` into the `MatMul`s or `Gemm`s that read it; the file is written again.

    Not what makes the tensors `at_inputs`, of which `input_scaling` decides by the data. Fitting: what the tensor wins is more
    than what the kernel loses in its steps, by GAIN.
    """
    import onnx

    model = onnx.load(str(path))
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    reads = [name for node in graph.node for name in node.input]
    outputs = {item.name for item in graph.output}
    changed = False
    for node in list(graph.node):
        if node.op_type != "Mul" or node.output[0] in outputs or node.output[0] in at_inputs:
            continue
        scales = [name for name in node.input if name in constants]
        readers = [other for other in graph.node if node.output[0] in other.input]
        if len(scales) != 1 or not readers or not all(_is_dense(other, node.output[0], constants) for other in readers):
            continue
        scale = onnx.numpy_helper.to_array(constants[scales[0]])
        kernels = {other.input[1]: _rows_first(other, constants) for other in readers}
        if any(reads.count(name) > 1 for name in kernels) or not all(_suits(scale, item) for item in kernels.values()):
            continue
        for other in readers:
            kernel, name = kernels[other.input[1]] * scale.reshape(-1, 1), other.input[1]
            whole = (kernel.T if _is_set(other, "transB") else kernel).astype(np.float32)
            constants[name].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(whole), name))
            other.input[0] = next(item for item in node.input if item not in constants)
        graph.node.remove(node)
        if reads.count(scales[0]) == 1:
            graph.initializer.remove(constants[scales[0]])
        changed = True
    if changed:
        onnx.save(model, str(path))


def _is_dense(node: Any, tensor: str, constants: Mapping[str, Any]) -> bool:
    """Whether an operator is (..., features) @ a constant kernel of the tensor."""
    kernel = constants.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") else None
    is_matrix = kernel is not None and len(kernel.dims) == 2
    return is_matrix and node.input[0] == tensor and not _is_set(node, "transA")


def _is_set(node: Any, attribute: str) -> bool:
    return any(item.name == attribute and item.i for item in node.attribute)


def _rows_first(node: Any, constants: Mapping[str, Any]) -> Array:
    """The kernel (features, units)."""
    import onnx

    kernel: Array = onnx.numpy_helper.to_array(constants[node.input[1]])
    return kernel.T if _is_set(node, "transB") else kernel


def _suits(scale: Array, kernel: Array) -> bool:
    """Whether the scale (features,) or (1, ..., features) is worth folding into the kernel (features, units)."""
    if scale.size != len(kernel) or scale.shape[-1:] != (scale.size,):
        return False
    scale, kernel = np.abs(scale.astype(np.float64).ravel()), kernel.astype(np.float64)
    folded = _noise(np.ones_like(scale), kernel * scale[:, None])
    return bool(_noise(scale, kernel) > GAIN * folded)


def _noise(scale: Array, kernel: Array) -> float:
    """The squared error, up to a factor, that int8 leaves behind `scale * activations @ kernel`, the activations being alike.

    A step is 1/255 of the tensor's range, and of a unit's kernel 1/127 of its largest weight.
    """
    of_tensor = (scale.max() / 255) ** 2 * np.square(kernel).sum()
    of_kernel = np.square(np.abs(kernel).max(axis=0) / 127).sum() * np.square(scale).sum() * MEAN_SQUARE
    return float(of_tensor + of_kernel)
