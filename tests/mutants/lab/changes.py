"""The ways to break an artifact, one function each: by its inputs, by its stored weights, by its calibration.

What breaks the Keras model itself lies in `keras_side`. Inputs are batches {name: (n, ...)}; the functions return a
new batch. Weights are changed in place; kernel functions change one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.types import TensorSpec
from tests.mutants.lab.constants import Constant, Weights

Array = np.ndarray[Any, Any]
Batch = dict[str, Array]
Input = Callable[[Batch], Batch]


def each(change: Callable[[Array], Array]) -> Input:
    """A change of every input."""
    return lambda batch: {
        name: np.ascontiguousarray(change(array)).astype(array.dtype) for name, array in batch.items()
    }


def order(*channels: int) -> Input:
    """Channels (the last axis) in another order."""
    return each(lambda array: array[..., list(channels)])


def scaled(factor: float, channels: slice = slice(None)) -> Input:
    """Some channels in another unit."""

    def change(array: Array) -> Array:
        copy = array.copy()
        copy[..., channels] *= factor
        return copy

    return each(change)


ANY_INPUT: Mapping[str, Input] = {
    "samples out of step by one": each(lambda array: np.roll(array, 1, axis=0)),
    "the input never arrives (zeros)": each(np.zeros_like),
}
IMAGE_INPUT: Mapping[str, Input] = {
    "height and width swapped": each(lambda array: array.swapaxes(1, 2)),
    "upside down": each(lambda array: array[:, ::-1]),
    "mirrored": each(lambda array: array[:, :, ::-1]),
    "divided by 255 twice": scaled(1 / 255),
    "not divided by 255": scaled(255),
    "to -1..1 instead of 0..255": each(lambda array: array / 127.5 - 1),
    "inverted": each(lambda array: 255 - array),
    "uint8 read as int8": each(lambda array: np.where(array > 127, array - 256, array)),
    "shifted by four columns": each(lambda array: np.roll(array, 4, axis=2)),
}
MOTION_INPUT: Mapping[str, Input] = {
    "channels reversed": order(5, 4, 3, 2, 1, 0),
    "acceleration and rotation swapped": order(3, 4, 5, 0, 1, 2),
    "x and y of acceleration swapped": order(1, 0, 2, 3, 4, 5),
    "time and channels transposed": each(lambda array: array.transpose(0, 2, 1).reshape(array.shape)),
    "time backwards": each(lambda array: array[:, ::-1]),
    "m/s2 instead of g": scaled(9.80665, slice(0, 3)),
    "degrees instead of radians": scaled(180 / np.pi, slice(3, 6)),
    "gravity's sign flipped": scaled(-1, slice(0, 3)),
}
TABLE_INPUT: Mapping[str, Input] = {
    "columns reversed": each(lambda array: array[:, ::-1]),
    "m/s2 instead of g": lambda batch: {**batch, "acceleration": batch["acceleration"] * np.float32(9.80665)},
    "arrays of the two inputs swapped": lambda batch: dict(zip(batch, reversed(batch.values()), strict=True)),
}
CALIBRATION: Mapping[str, Input] = {
    "calibrated on values 20 times too small": scaled(0.05),
    "calibrated on values 50 times too large": scaled(50),
    "calibrated on zeros": each(np.zeros_like),
}


def zero(kernel: Constant) -> None:
    """All weights 0."""
    kernel.clear()


def negate(kernel: Constant) -> None:
    """Every weight with the other sign."""
    kernel.negate()


def transpose(kernel: Constant) -> None:
    """The numbers of the transposed array in the old shape: another framework's layout taken for one's own."""
    kernel.values[...] = np.ascontiguousarray(kernel.values.T).reshape(kernel.values.shape)


def four_bits(kernel: Constant) -> None:
    """Whole numbers with every sixteenth left: 4 bits where there were 8."""
    codes = kernel.values.astype(np.int64) - kernel.zero
    limits = np.iinfo(kernel.values.dtype)
    kernel.values[...] = np.clip(np.round(codes / 16) * 16 + kernel.zero, limits.min, limits.max)


def not_a_number(kernel: Constant) -> None:
    """A single weight is NaN."""
    kernel.values.flat[kernel.values.size // 2] = np.nan


KERNEL: Mapping[str, Callable[[Constant], None]] = {
    "zeroed": zero,
    "sign flipped": negate,
    "transposed": transpose,
    "one NaN in": not_a_number,
}


def biases_lost(weights: Weights) -> None:
    """Every bias 0."""
    for bias in weights.biases:
        zero(bias)


def tail_lost(weights: Weights) -> None:
    """The last third of the weights' bytes is 0, as after a download that broke off."""
    total = sum(kernel.values.nbytes for kernel in weights.kernels)
    start = 0
    for kernel in weights.kernels:
        stored = _bytes(kernel)
        stored[max(0, 2 * total // 3 - start) :] = 0
        start += len(stored)
        _put(kernel, stored)


def bits_flipped(share: float) -> Callable[[Weights], None]:
    """That share of all bits of the weights, chosen at random, is the other one."""

    def change(weights: Weights) -> None:
        generator = np.random.default_rng(0)
        for kernel in weights.kernels:
            stored = _bytes(kernel)
            places = generator.choice(len(stored) * 8, max(1, round(share * len(stored) * 8)), replace=False)
            np.bitwise_xor.at(stored, places // 8, (1 << (places % 8)).astype(np.uint8))
            _put(kernel, stored)

    return change


def _bytes(kernel: Constant) -> Array:
    return np.frombuffer(kernel.values.tobytes(), np.uint8).copy()


def _put(kernel: Constant, stored: Array) -> None:
    kernel.values[...] = np.frombuffer(stored.tobytes(), kernel.values.dtype).reshape(kernel.values.shape)


def layers_swapped(weights: Weights) -> None:
    """The numbers of the two largest kernels, each in the other's place as far as they go."""
    first, second = sorted(weights.kernels, key=lambda kernel: kernel.values.size)[-2:]
    one, other = first.values.copy(), second.values.copy()
    first.values[...] = np.resize(other, one.shape)
    second.values[...] = np.resize(one, other.shape)


WHOLE: Mapping[str, Callable[[Weights], None]] = {
    "all biases lost": biases_lost,
    "the last third of the weights lost": tail_lost,
    "one bit in a thousand flipped": bits_flipped(1e-3),
    "one bit in a hundred flipped": bits_flipped(1e-2),
    "the two largest layers' weights swapped": layers_swapped,
}


def misread(specs: Sequence[TensorSpec], factor: float = 1.0, shift: int = 0) -> Input:
    """Real numbers as the artifact sees them where an app quantizes its inputs with another scale or zero point.

    The app sends clip(round(x / (scale * factor)) + zero + shift); to the artifact that means (it - zero) * scale.
    """
    ends = {spec.name: spec.quantization for spec in specs if spec.quantization}

    def change(batch: Batch) -> Batch:
        seen = dict(batch)
        for name, end in ends.items():
            scale, zero = end.scale[0], end.zero_point[0]
            sent = np.clip(np.round(batch[name] / (scale * factor)) + zero + shift, -128, 127)
            seen[name] = ((sent - zero) * scale).astype(np.float32)
        return seen

    return change


def misread_outputs(specs: Sequence[TensorSpec], factor: float = 1.0, shift: int = 0) -> Input:
    """Outputs as an app reads them with another scale or zero point: (q - zero - shift) * scale * factor."""
    ends = {spec.name: spec.quantization for spec in specs if spec.quantization}
    return lambda batch: {
        **batch,
        **{name: ((batch[name] - shift * end.scale[0]) * factor).astype(np.float32) for name, end in ends.items()},
    }


# Of an artifact with int8 inputs and outputs: what an app reads from the spec of another version.
INT8_INPUT: Mapping[str, Callable[[Sequence[TensorSpec]], Input]] = {
    "int8 input: scale of another version": lambda specs: misread(specs, factor=2),
    "int8 input: zero point off by 128 (uint8 taken for int8)": lambda specs: misread(specs, shift=128),
    "int8 input: zero point forgotten": lambda specs: misread(
        specs, shift=-max(spec.quantization.zero_point[0] for spec in specs if spec.quantization)
    ),
}
INT8_OUTPUT: Mapping[str, Callable[[Sequence[TensorSpec]], Input]] = {
    "int8 output: scale of another version": lambda specs: misread_outputs(specs, factor=2),
    "int8 output: zero point off by 128 (uint8 taken for int8)": lambda specs: misread_outputs(specs, shift=128),
}


def _align_tflite(source: Path, target: Path) -> int:
    from edgeship.formats import flatbuffer

    model, changed = flatbuffer.unpack(source.read_bytes()), 0
    names = flatbuffer.operator_names(model)
    for item in model.subgraphs[0].operators:
        if names[item.opcodeIndex] == "RESIZE_BILINEAR":
            item.builtinOptions.alignCorners, item.builtinOptions.halfPixelCenters = True, False
            changed += 1
    target.write_bytes(flatbuffer.pack(model))
    return changed


def _align_onnx(source: Path, target: Path) -> int:
    import onnx

    model, changed = onnx.load(str(source)), 0
    for node in model.graph.node:
        for item in node.attribute if node.op_type == "Resize" else ():
            if item.name == "coordinate_transformation_mode":
                item.s, changed = b"align_corners", changed + 1
    onnx.save(model, str(target))
    return changed


# Write the artifact with corners aligned where pictures are enlarged; the number of operators that were changed.
RESIZED: Mapping[str, Callable[[Path, Path], int]] = {"tflite": _align_tflite, "onnx": _align_onnx}
