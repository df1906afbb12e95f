"""From what an app has in hand to a model's input: the reference that clients of every language follow to the byte.

All that is done to pixels and PCM is done in integers, and what is done in float32 is rounded after each operation, so that
the same bytes give the same tensor on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeship.data import Array
from edgeship.deploy.contract.arithmetic.resample import resize_picture, round_div, round_ratio
from edgeship.deploy.contract.arithmetic.words import hash_words
from edgeship.deploy.contract.contract import ORIENTATIONS, EdgeQuantization
from edgeship.deploy.contract.inputs import ContractInput, RawForm
from edgeship.deploy.contract.steps import (
    LONGEST_SIDE,
    Affine,
    FlattenAlpha,
    Frame,
    Grey,
    HashWords,
    Invert,
    Lookup,
    Mono,
    Orient,
    Resize,
    Step,
    SwapRedBlue,
)
from edgeship.errors import InputError
from edgeship.settings.inputs import Column


def preprocess_input(item: ContractInput, raw: Array | Sequence[str | float] | str, orientation: int = 1) -> Array:
    """The model's input for one sample, float32 of the tensor's shape (batch 1).

    `raw`: uint8 (h, w, 1, 3 or 4 channels) for an image, int16 (n, channels) for audio, float32 (t, c) for a window, texts and
    numbers for a table, one a column, a str for a text, float32 for a tensor. `orientation` is EXIF's, 1 to 8. Raises InputError
    for anything else.
    """
    if item.kind == "table":
        values: Any = list(raw)
    elif item.kind == "text":
        values = _check_text(item, raw)
    else:
        values = _check_raw(item, np.asarray(raw), orientation)
    for step in item.steps:
        values = _apply_step(step, values, item.raw, orientation)
    result = np.ascontiguousarray(values, np.float32)
    shape = item.tensor.shape
    if item.kind in ("image", "audio", "table", "text"):
        return result.reshape([1 if axis is None else axis for axis in shape])
    if len(shape) != result.ndim + 1 or any(
        axis not in (None, size) for axis, size in zip(shape[1:], result.shape, strict=False)
    ):
        raise InputError(f"{item.name}: takes {list(shape[1:])}, not {list(result.shape)}")
    return result[None]


def _check_text(item: ContractInput, raw: object) -> str:
    if not isinstance(raw, str):
        raise InputError(f"{item.name}: takes a text, not {type(raw).__name__}")
    return raw


def _check_raw(item: ContractInput, raw: Array, orientation: int) -> Array:
    """The raw sample. Raises InputError where it has another type or form than the contract says."""
    what = f"{item.name}: takes {item.raw.dtype} "
    if raw.dtype != item.raw.dtype:
        raise InputError(f"{what}numbers, not {raw.dtype}")
    if item.kind == "image":
        channels = (1, 3, 4) if item.raw.alpha else (1, 3)
        if raw.ndim != 3 or raw.shape[2] not in channels or not raw.size or max(raw.shape) > LONGEST_SIDE:
            raise InputError(f"{what}pixels of {', '.join(map(str, channels))} channels, (h, w, c), not {raw.shape}")
        if orientation not in ORIENTATIONS:
            raise InputError(f"{item.name}: EXIF's orientation is 1 to 8, not {orientation}")
    if item.kind == "audio" and (raw.ndim != 2 or raw.shape[1] != item.raw.channels):
        raise InputError(f"{what}PCM of {item.raw.channels} channels, (n, c), not {raw.shape}")
    return raw


def _apply_step(step: Step, values: Any, form: RawForm, orientation: int) -> Any:  # noqa: PLR0911  # one line a step
    match step:
        case Orient():
            return orient_picture(values, orientation)
        case FlattenAlpha():
            return _flatten_alpha(values, step.ground)
        case Grey():
            return _mix_grey(values, step.weights)
        case Invert():
            return _invert_picture(values, step.ground)
        case Resize():
            border = rim_mean(values) if step.border == "rim" else step.border
            colours = np.repeat(values, 3, axis=2) if form.colour == "rgb" and values.shape[2] == 1 else values
            return resize_picture(colours, step, border)
        case SwapRedBlue():
            return values[:, :, ::-1]
        case Affine():
            return scale_values(step, values)
        case Mono():
            return round_div(values.astype(np.int64).sum(1, keepdims=True), values.shape[1]).astype(np.int16)
        case Frame():
            return np.pad(values[: step.length], ((0, max(0, step.length - len(values))), (0, 0)))
        case Lookup():
            return np.array(_look_up(form.columns, values), np.float32)
        case HashWords():
            return np.array(hash_words(values, step.words, step.buckets), np.float32)


def orient_picture(pixels: Array, orientation: int) -> Array:
    """The picture (h, w, c) upright, by its EXIF orientation (Exif 2.32, tag 274)."""
    if orientation >= 5:  # rows are columns
        pixels = pixels.swapaxes(0, 1)
    mirrored, upside_down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return pixels[:: -1 if upside_down else 1, :: -1 if mirrored else 1]


def rim_mean(pixels: Array) -> int:
    """The rounded mean of all values of the outermost pixels."""
    total, count = _rim(pixels)
    return round_ratio(total, count)


def _rim(pixels: Array) -> tuple[int, int]:
    """The sum of the values of the outermost pixels, each once, and how many they are."""
    inner = pixels[1:-1, 1:-1]
    return int(pixels.sum(dtype=np.int64)) - int(inner.sum(dtype=np.int64)), pixels.size - inner.size


def _flatten_alpha(pixels: Array, ground: int) -> Array:
    if pixels.shape[2] != 4:
        return pixels
    colours, opacity = pixels[:, :, :3].astype(np.int64), pixels[:, :, 3:].astype(np.int64)
    return round_div(colours * opacity + ground * (255 - opacity), 255).astype(np.uint8)


def _mix_grey(pixels: Array, weights: tuple[int, int, int]) -> Array:
    if pixels.shape[2] == 1:
        return pixels
    total = pixels.astype(np.int64) @ np.array(weights, np.int64)
    return round_div(total, 1000).astype(np.uint8)[:, :, None]


def _invert_picture(pixels: Array, ground: str) -> Array:
    total, count = _rim(pixels)
    other = 2 * total > 255 * count if ground == "dark" else 2 * total < 255 * count
    return 255 - pixels if other else pixels


def scale_values(step: Affine, values: Array) -> Array:
    """The values (..., channels) times `multiply` plus `add`, in float32, rounded twice."""
    multiply, add = (np.array(numbers, np.float32) for numbers in (step.multiply, step.add))
    with np.errstate(over="ignore"):
        return values.astype(np.float32) * multiply + add


def _look_up(columns: Sequence[Column], row: Sequence[str | float]) -> list[float]:
    """The numbers of a row's texts and numbers. Raises InputError for what is none, and for an unknown category."""
    if len(row) != len(columns):
        raise InputError(f"a row has {len(columns)} values, not {len(row)}")
    numbers: list[float] = []
    for column, value in zip(columns, row, strict=True):
        if value == "" and column.missing is not None:
            numbers.append(column.missing)
        elif column.kind == "number":
            try:
                numbers.append(float(value))
            except ValueError as error:
                raise InputError(f"column {column.name}: {value[:40]!r} is no number") from error  # type: ignore[index]
        elif value in column.values:
            numbers.append(column.values.index(str(value)))
        elif column.unknown is None:
            raise InputError(f"column {column.name}: {str(value)[:40]!r} is none of its values")
        else:
            numbers.append(column.unknown)
    return numbers


def quantize_values(values: Array, quantization: EdgeQuantization, dtype: str) -> Array:
    """float32 numbers as the integers of an artifact's input: half to even, clamped."""
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore"):
        steps = np.rint(values.astype(np.float32) / np.float32(quantization.scale))
    result: Array = np.clip(steps.astype(np.float64) + quantization.zero_point, limits.min, limits.max).astype(dtype)
    return result


def dequantize_values(values: Array, quantization: EdgeQuantization) -> Array:
    """The integers of an artifact's output as float32 numbers."""
    steps = values.astype(np.int64) - quantization.zero_point
    result: Array = steps.astype(np.float32) * np.float32(quantization.scale)
    return result


def invert_scale(step: Affine, values: Array) -> Array:
    """The values (float64) whose `scale_values` these are, but for rounding."""
    multiply, add = (np.array(numbers, np.float32).astype(np.float64) for numbers in (step.multiply, step.add))
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Array = (values.astype(np.float64) - add) / multiply
    return result
