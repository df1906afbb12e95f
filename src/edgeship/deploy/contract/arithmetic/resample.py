"""Resampling in integers: `area`, `pil-bilinear` and `tf-bilinear`, the same on every machine and in every language.

Each is separable: along an axis every new pixel is a sum of neighbouring old ones with whole weights (`Taps`). Rounding is
`round_div`, once for area and tf-bilinear, once an axis for pil-bilinear. Pictures are uint8, (height, width, channels).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeship.data import Array
from edgeship.deploy.contract.steps import Resize
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass

MOST_SUMS = 1 << 26  # between the axes: a picture that is one pixel wide may become one that is one pixel high
PIL_BITS = 22  # of Pillow's weights: 32 less 8 of a byte and 2 for overshoot (libImaging/Resample.c, PRECISION_BITS)


def round_div(total: Array, divisor: int) -> Array:
    """The quotient rounded half up: floor((2 total + divisor) / (2 divisor))."""
    return (2 * total + divisor) // (2 * divisor)


def round_ratio(total: int, divisor: int) -> int:
    """`round_div` of one number."""
    return (2 * total + divisor) // (2 * divisor)


@dataclass(frozen=True)
class Taps:
    """The sum that is a new pixel: old pixels from `start` on, times `weights` (int64)."""

    start: int
    weights: Array


@dataclass(frozen=True)
class _Axis:
    """One axis: `size` old pixels become `target` new ones by the ratio `scale` / `unit`."""

    size: int
    target: int
    scale: int
    unit: int


def resize_picture(pixels: Array, step: Resize, border: int) -> Array:
    """The picture, (h, w, c), at the size of the step; beside it lies `border` (0 to 255).

    `contain` shows all of it, `cover` fills the new size, `stretch` does both. Raises InputError where the sums on the way
    would take far more memory than either picture.
    """
    height, width = pixels.shape[:2]
    if max(height * step.width, step.height * width) > MOST_SUMS:
        raise InputError(
            f"a picture of {height} x {width} is not resized to {step.height} x {step.width}: it takes too much"
        )
    scales = _fit_scales(height, width, step)
    rows, columns = _Axis(height, step.height, *scales[0]), _Axis(width, step.width, *scales[1])
    if step.resampler == "area":
        return _resize_area(pixels, rows, columns, border)
    resample = _resize_pil if step.resampler == "pil-bilinear" else _resize_tf
    if step.fit == "cover":
        (top, tall), (left, wide) = _crop(rows), _crop(columns)
        return resample(pixels[top : top + tall, left : left + wide], step.height, step.width)
    tall, wide = (max(1, min(axis.target, round_ratio(axis.size * axis.scale, axis.unit))) for axis in (rows, columns))
    top, left = (step.height - tall) // 2, (step.width - wide) // 2
    result = np.full((step.height, step.width, pixels.shape[2]), border, np.uint8)
    result[top : top + tall, left : left + wide] = resample(pixels, tall, wide)
    return result


def _fit_scales(height: int, width: int, step: Resize) -> tuple[tuple[int, int], tuple[int, int]]:
    """New over old pixels as (numerator, denominator) of rows and columns."""
    by_height, by_width = (step.height, height), (step.width, width)
    if step.fit == "stretch":
        return by_height, by_width
    narrower = by_width if step.width * height <= step.height * width else by_height
    other = by_height if narrower is by_width else by_width
    scale = narrower if step.fit == "contain" else other
    return scale, scale


def _crop(axis: _Axis) -> tuple[int, int]:
    """Where the middle part begins that fills the new size, and how long it is."""
    length = max(1, min(axis.size, round_ratio(axis.target * axis.unit, axis.scale)))
    return (axis.size - length) // 2, length


def _resize_area(pixels: Array, rows: _Axis, columns: _Axis, border: int) -> Array:
    """Each new pixel is the mean of the area that it covers."""
    down, across = _area_taps(rows), _area_taps(columns)
    total = _sum_columns(_sum_rows(pixels.astype(np.int64), down), across)
    tall, wide = ([int(tap.weights.sum()) for tap in taps] for taps in (down, across))
    covered = np.outer(tall, wide)
    whole = rows.unit * columns.unit
    total += ((whole - covered) * border)[:, :, None]
    return round_div(total, whole).astype(np.uint8)


def _area_taps(axis: _Axis) -> list[Taps]:
    """Overlaps in units of 1 / scale of an old pixel; new pixel t covers [(t - first) unit, (t + 1 - first) unit)."""
    size, unit, scale = axis.size, axis.unit, axis.scale
    first = (axis.target * unit - size * scale + unit) // (2 * unit)
    taps = []
    for target in range(axis.target):
        begin, end = (target - first) * unit, (target + 1 - first) * unit
        start, stop = (min(max(place, 0), size) for place in (begin // scale, -(-end // scale)))
        edges = np.clip(np.arange(start, stop + 1, dtype=np.int64) * scale, begin, end)
        taps.append(Taps(start, np.diff(edges)))
    return taps


def _resize_pil(pixels: Array, height: int, width: int) -> Array:
    """Pillow's BILINEAR: a triangle as wide as a new pixel, along rows first, with bytes between the passes."""
    wide = _sum_columns(pixels.astype(np.int64), _pil_taps(pixels.shape[1], width))
    bytes_between = _to_bytes(wide)
    return _to_bytes(_sum_rows(bytes_between, _pil_taps(pixels.shape[0], height))).astype(np.uint8)


def _to_bytes(sums: Array) -> Array:
    result: Array = np.clip((sums + (1 << (PIL_BITS - 1))) >> PIL_BITS, 0, 255)
    return result


def _pil_taps(size: int, target: int) -> list[Taps]:
    reach, taps = 2 * max(size, target), []
    for place in range(target):
        middle = (2 * place + 1) * size  # in units of 1 / (2 target) of an old pixel, whose own are (2 i + 1) target
        start = max(0, (middle - reach - target) // (2 * target))
        stop = min(size, (middle + reach - target) // (2 * target) + 2)
        middles = (2 * np.arange(start, stop, dtype=np.int64) + 1) * target
        shares = np.maximum(0, reach - np.abs(middles - middle))
        taps.append(Taps(start, round_div(shares << PIL_BITS, int(shares.sum()))))
    return taps


def _resize_tf(pixels: Array, height: int, width: int) -> Array:
    """TensorFlow's `tf.image.resize`: bilinear between the centres of pixels, without antialiasing."""
    tall = _sum_rows(pixels.astype(np.int64), _tf_taps(pixels.shape[0], height))
    return round_div(_sum_columns(tall, _tf_taps(pixels.shape[1], width)), 4 * height * width).astype(np.uint8)


def _tf_taps(size: int, target: int) -> list[Taps]:
    taps = []
    for place in range(target):
        position = (2 * place + 1) * size - target
        index, share = divmod(position, 2 * target)
        weights = np.array((2 * target - share, share), np.int64)
        if 0 <= index < size - 1:
            taps.append(Taps(index, weights))
        else:
            taps.append(Taps(min(max(index, 0), size - 1), weights.sum(keepdims=True)))
    return taps


def _sum_rows(pixels: Array, taps: Sequence[Taps]) -> Array:
    """The sums along the first axis, one a tap, int64."""
    flat = pixels.reshape(len(pixels), -1)
    rows = [tap.weights @ flat[tap.start : tap.start + len(tap.weights)] for tap in taps]
    return np.stack(rows).reshape(len(taps), *pixels.shape[1:])


def _sum_columns(pixels: Array, taps: Sequence[Taps]) -> Array:
    """The sums along the second axis."""
    return np.ascontiguousarray(_sum_rows(np.ascontiguousarray(pixels.swapaxes(0, 1)), taps).swapaxes(0, 1))
