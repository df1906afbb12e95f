"""The core of a client: from what an app has in hand to the model's tensors, and from its outputs to answers.

The same for every model; what differs is in contract.py. Needs numpy alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FIXED = 22  # bits behind the point of pil-bilinear's weights
LEVELS = np.arange(256, dtype=np.float32)
WORD = re.compile(rb"[0-9a-z\x80-\xff]+")


@dataclass(frozen=True)
class Edge:
    """How a tensor lies in the model's file: its position among inputs or outputs, and its quantization (scale 0: none)."""

    index: int
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Column:
    """A column of a table: a category with these values, `unknown` for any other (-1: refused), or without any a number.

    `missing`: of a number, what the empty text stands for.
    """

    values: tuple[str, ...] = ()
    unknown: int = -1
    missing: float | None = None


@dataclass(frozen=True)
class Input:
    """An input: the steps from raw data to its tensor, in this order.

    `kind`: image, audio, window, table, text or tensor. Of images: `flatten` is the ground under what is transparent (-1: no
    opacity is taken), `grey` what red, green and blue count in grey in thousandths, `invert` the ground ("dark", "light", "")
    that a picture's rim must have, `border` what lies around the picture (-1: the mean of its rim), `swap` whether red and blue
    change places. `channels`: of an image's tensor, else of the raw data. `buckets`: how many ids the words of a text have.
    """

    name: str
    kind: str
    edge: Edge
    channels: int = 1
    height: int = 0
    width: int = 0
    orient: bool = False
    flatten: int = -1
    grey: tuple[int, int, int] = (0, 0, 0)
    invert: str = ""
    resampler: str = "area"
    fit: str = "stretch"
    border: int = 0
    swap: bool = False
    mono: bool = False
    rate: int = 0
    multiply: tuple[float, ...] = ()
    add: tuple[float, ...] = ()
    columns: tuple[Column, ...] = ()
    buckets: int = 0


@dataclass(frozen=True)
class Output:
    """An output; `tolerance` is the largest difference of a right device from the goldens.

    `temperature` 0: none; `logits`: scores are not probabilities yet. Scores below `threshold` are no answer.
    """

    name: str
    edge: Edge
    tolerance: float
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    temperature: float = 0.0
    logits: bool = False


@dataclass(frozen=True)
class RawForm:
    """Height, width and channels of a golden's picture, and its EXIF orientation; 0 for other kinds of input."""

    height: int
    width: int
    channels: int
    orientation: int


@dataclass(frozen=True)
class Case:
    """A golden: the forms of its raw data by input, its label, and whether every right device gives that label."""

    name: str
    raws: tuple[RawForm, ...]
    label: str
    clear: bool


def preprocess(given: Input, raw: Array | Sequence[str | float] | str, *, orientation: int = 1, rate: int = 0) -> Array:
    """The float32 tensor of one sample, in the shape that the model takes.

    `raw`: an image is uint8 (H, W, 1, 3 or 4) with its EXIF orientation, audio int16 (samples, channels) with its rate, a table a
    text or number per column, a text a str, all others float32. Raises ValueError for what this input does not take.
    """
    if given.kind == "text" and isinstance(raw, str):
        values = _read_text(given, raw)
    elif given.kind == "table":
        values = _read_table(given, raw)
    elif not isinstance(raw, np.ndarray):
        raise ValueError(f"'{given.name}' takes an array")
    elif given.kind == "image":
        values = _read_picture(given, raw, orientation)
    elif given.kind == "audio":
        values = _read_audio(given, raw, rate)
    else:
        _require(raw.size == int(np.prod(given.edge.shape)), f"{raw.size} values, which '{given.name}' does not take")
        values = raw.astype(np.float32).reshape(-1, given.channels)
    if given.multiply and given.kind != "image":
        values = values.astype(np.float32) * _factors(given.multiply) + _factors(given.add)
    return values.astype(np.float32).reshape(given.edge.shape)


def quantize(edge: Edge, values: Array) -> Array:
    """What the model takes for a float32 tensor: halves are rounded to the even neighbour."""
    dtype = np.dtype(edge.dtype)
    if dtype.kind == "f":
        return values.astype(dtype)
    steps = values.astype(np.float32) / np.float32(edge.scale) if edge.scale else values
    limits = np.iinfo(dtype)
    rounded = np.rint(steps.astype(np.float64)) + edge.zero_point
    return np.asarray(np.clip(rounded, limits.min, limits.max).astype(dtype))


def dequantize(edge: Edge, values: Array) -> Array:
    """An output's float32 numbers."""
    if values.dtype.kind == "f" or not edge.scale:
        return values.astype(np.float32)
    return (values.astype(np.int32) - edge.zero_point).astype(np.float32) * np.float32(edge.scale)


def top(scores: Array, count: int, labels: Sequence[str] = ()) -> list[tuple[int, str, float]]:
    """The largest scores, the largest first, as index, label and score; of equal ones the first."""
    best = np.argsort(-scores.ravel(), kind="stable")[:count]
    return [(int(i), labels[i] if i < len(labels) else "", float(scores.ravel()[i])) for i in best]


def _factors(values: tuple[float, ...]) -> Array:
    return np.array(values, np.float32)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _round_div(total: Array | int, divisor: Any) -> Any:
    """The nearest integer, halves upwards."""
    return (2 * total + divisor) // (2 * divisor)


def _read_table(given: Input, row: Array | Sequence[str | float]) -> Array:
    _require(len(row) == len(given.columns), f"{len(row)} values, and '{given.name}' has {len(given.columns)} columns")
    numbers = []
    for column, value in zip(given.columns, row, strict=True):
        if not column.values:
            numbers.append(column.missing if value == "" and column.missing is not None else float(value))
            continue
        number = column.values.index(str(value)) if value in column.values else column.unknown
        _require(number >= 0, f"{value!r} is none of a column's values")
        numbers.append(number)
    return np.array(numbers, np.float32)


def _read_text(given: Input, text: str) -> Array:
    """The ids of the first words: 1 + FNV-1a % buckets of runs of ASCII letters, digits and bytes beyond ASCII; then zeros."""
    ids = np.zeros(given.edge.shape, np.float32)
    for place, word in enumerate(WORD.findall(text.encode().lower())[: ids.size]):
        number = 2166136261
        for byte in word:
            number = (number ^ byte) * 16777619 & 0xFFFFFFFF
        ids.flat[place] = 1 + number % given.buckets
    return ids


def _read_audio(given: Input, raw: Array, rate: int) -> Array:
    _require(not rate or not given.rate or rate == given.rate, f"{rate} Hz, and '{given.name}' takes {given.rate}")
    _require(raw.size % given.channels == 0, f"'{given.name}' takes {given.channels} channels")
    samples = raw.reshape(-1, given.channels).astype(np.int64)
    if given.mono:
        samples = _round_div(samples.sum(axis=1, keepdims=True), given.channels)
    frame = np.zeros((int(np.prod(given.edge.shape)) // samples.shape[1], samples.shape[1]), np.float32)
    frame[: len(samples)] = samples[: len(frame)]
    return frame


def _read_picture(given: Input, raw: Array, orientation: int) -> Array:
    _require(raw.ndim == 3 and raw.size > 0 and raw.dtype == np.uint8, "a picture is uint8 (height, width, channels)")
    _require(orientation in range(1, 9), f"orientation {orientation} is not 1 to 8")
    _require(raw.shape[2] in (1, 3) or (raw.shape[2] == 4 and given.flatten >= 0), f"{raw.shape[2]} channels")
    picture = _convert_colours(given, _orient(raw, orientation if given.orient else 1).astype(np.int64))
    total, count = _sum_rim(picture)
    if (given.invert == "dark" and 2 * total > 255 * count) or (given.invert == "light" and 2 * total < 255 * count):
        picture, total = 255 - picture, 255 * count - total
    border = given.border if given.border >= 0 else int(_round_div(total, count))
    picture = RESAMPLERS[given.resampler](given, picture, border)
    if given.swap:
        picture = picture[..., ::-1]
    levels = np.stack([LEVELS] * given.channels, axis=1)
    if given.multiply:  # each product is rounded to float32 before the sum
        levels = levels * _factors(given.multiply) + _factors(given.add)
    return np.asarray(levels[picture, np.arange(given.channels)])


def _orient(raw: Array, orientation: int) -> Array:
    picture = raw.swapaxes(0, 1) if orientation > 4 else raw
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return picture[::rows, ::columns]


def _convert_colours(given: Input, picture: Array) -> Array:
    if picture.shape[2] == 4:
        opacity = picture[..., 3:]
        picture = _round_div(picture[..., :3] * opacity + given.flatten * (255 - opacity), 255)
    if given.channels == 1 and picture.shape[2] == 3:
        return np.asarray(_round_div(picture @ np.array(given.grey), 1000))[..., None]
    return np.repeat(picture, 3, axis=2) if picture.shape[2] < given.channels else picture


def _sum_rim(picture: Array) -> tuple[int, int]:
    """The sum of the values on the outermost ring, each pixel once, and how many they are."""
    inner = picture[1:-1, 1:-1]
    return int(picture.sum() - inner.sum()), picture.size - inner.size


def _scale(given: Input, picture: Array) -> tuple[int, int]:
    """Numerator and denominator of the scale that both axes of `contain` and `cover` have."""
    height, width = picture.shape[:2]
    if (given.fit == "contain") == (given.width * height <= given.height * width):
        return given.width, width
    return given.height, height


def _overlaps(source: int, target: int, n: int, d: int) -> Array:
    """How much of source pixel i (columns) target pixel t (rows) covers, in 1/n source pixels."""
    first = (target * d - source * n + d) // (2 * d)
    t, i = np.arange(target, dtype=np.int64)[:, None] - first, np.arange(source, dtype=np.int64)
    return np.asarray(np.maximum(0, np.minimum((t + 1) * d, (i + 1) * n) - np.maximum(t * d, i * n)))


def _resize_area(given: Input, picture: Array, border: int) -> Array:
    height, width = picture.shape[:2]
    across, down = (
        ((given.width, width), (given.height, height)) if given.fit == "stretch" else (_scale(given, picture),) * 2
    )
    x, y = _overlaps(width, given.width, *across), _overlaps(height, given.height, *down)
    # Floats of 64 bits hold these integers exactly (they are below 2^53), and their matrix product is fast.
    sums = np.einsum(
        "th,hwc->twc",
        y.astype(float),
        np.einsum("hwc,sw->hsc", picture.astype(float), x.astype(float), optimize=True),
        optimize=True,
    )
    whole = across[1] * down[1]
    outside = whole - np.outer(y.sum(axis=1), x.sum(axis=1))[..., None]
    return np.asarray(_round_div(sums.astype(np.int64) + outside * border, whole))


def _resize_in_parts(resize: Callable[[Array, int, int], Array]) -> Callable[[Input, Array, int], Array]:
    """The bilinear ones: a crop of the picture becomes a content within the tensor."""

    def place(given: Input, picture: Array, border: int) -> Array:
        height, width = picture.shape[:2]
        n, d = _scale(given, picture)
        if given.fit == "cover":
            high, wide = (
                max(1, min(a, _round_div(b * d, n))) for a, b in ((height, given.height), (width, given.width))
            )
            top_row, left = (height - high) // 2, (width - wide) // 2
            picture = picture[top_row : top_row + high, left : left + wide]
        if given.fit != "contain":
            return resize(picture, given.height, given.width)
        high, wide = (max(1, min(a, _round_div(b * n, d))) for a, b in ((given.height, height), (given.width, width)))
        top_row, left = (given.height - high) // 2, (given.width - wide) // 2
        whole = np.full((given.height, given.width, given.channels), border, np.int64)
        whole[top_row : top_row + high, left : left + wide] = resize(picture, high, wide)
        return whole

    return place


def _resize_pil(picture: Array, height: int, width: int) -> Array:
    for axis, size in ((1, width), (0, height)):
        weights = _triangles(picture.shape[axis], size)
        sums = np.moveaxis(np.tensordot(weights.astype(float), picture.astype(float), (1, axis)), 0, axis)
        picture = np.clip((sums.astype(np.int64) + (1 << FIXED - 1)) >> FIXED, 0, 255)
    return picture


def _triangles(source: int, target: int) -> Array:
    """Weights of source pixels (columns) for target pixels (rows), in 1/2^22."""
    t, i = np.arange(target, dtype=np.int64)[:, None], np.arange(source, dtype=np.int64)
    reach = 2 * max(source, target)
    weights = np.maximum(0, reach - np.abs((2 * i + 1) * target - (2 * t + 1) * source))
    return np.asarray(_round_div(weights << FIXED, weights.sum(axis=1, keepdims=True)))


def _resize_tf(picture: Array, height: int, width: int) -> Array:
    (top_row, low_row, down), (left, right, across) = (
        _neighbours(*pair) for pair in ((picture.shape[0], height), (picture.shape[1], width))
    )
    across = across[:, None]
    high, low = (
        (2 * width - across) * picture[rows][:, left] + across * picture[rows][:, right] for rows in (top_row, low_row)
    )
    down = down[:, None, None]
    return np.asarray(_round_div((2 * height - down) * high + down * low, 4 * height * width))


def _neighbours(source: int, target: int) -> tuple[Array, Array, Array]:
    """The two source pixels of each target pixel, and the weight of the second in 1/(2 target)."""
    place = (2 * np.arange(target, dtype=np.int64) + 1) * source - target
    first = place // (2 * target)
    return np.clip(first, 0, source - 1), np.clip(first + 1, 0, source - 1), place - 2 * target * first


RESAMPLERS = {
    "area": _resize_area,
    "pil-bilinear": _resize_in_parts(_resize_pil),
    "tf-bilinear": _resize_in_parts(_resize_tf),
}
