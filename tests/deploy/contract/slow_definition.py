"""The arithmetic of the contract, pixel by pixel in rational numbers, as its specification says it: slow and plain."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

Pixels = list[list[list[int]]]  # rows of pixels of channels


def round_half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def prepare(pixels: Pixels, orientation: int, steps: list[dict[str, Any]]) -> Pixels:
    """What the steps before `affine` make of a picture."""
    for step in steps:
        kind = step["step"]
        if kind == "orient":
            pixels = orient(pixels, orientation)
        elif kind == "flatten_alpha":
            pixels = [[flatten(pixel, step["ground"]) for pixel in row] for row in pixels]
        elif kind == "grey":
            pixels = [[grey(pixel, step["weights"]) for pixel in row] for row in pixels]
        elif kind == "invert":
            mean = rim_mean(pixels)
            other = mean > Fraction(255, 2) if step["ground"] == "dark" else mean < Fraction(255, 2)
            pixels = [[[255 - value for value in pixel] for pixel in row] for row in pixels] if other else pixels
        elif kind == "resize":
            border = round_half_up(rim_mean(pixels)) if step["border"] == "rim" else step["border"]
            pixels = resize(pixels, step, border)
        elif kind == "swap_red_blue":
            pixels = [[pixel[::-1] for pixel in row] for row in pixels]
    return pixels


def orient(pixels: Pixels, orientation: int) -> Pixels:
    """What the eighth part of EXIF says: where the stored picture's first row and first column are."""
    height, width = len(pixels), len(pixels[0])
    turned = orientation >= 5
    high, wide = (width, height) if turned else (height, width)
    row_column = {
        1: lambda y, x: (y, x), 2: lambda y, x: (y, width - 1 - x),
        3: lambda y, x: (height - 1 - y, width - 1 - x), 4: lambda y, x: (height - 1 - y, x),
        5: lambda y, x: (x, y), 6: lambda y, x: (height - 1 - x, y),
        7: lambda y, x: (height - 1 - x, width - 1 - y), 8: lambda y, x: (x, width - 1 - y),
    }[orientation]  # fmt: skip
    places = [[row_column(y, x) for x in range(wide)] for y in range(high)]
    return [[pixels[y][x] for y, x in row] for row in places]


def flatten(pixel: list[int], ground: int) -> list[int]:
    if len(pixel) < 4:
        return pixel
    opacity = Fraction(pixel[3], 255)
    return [round_half_up(value * opacity + ground * (1 - opacity)) for value in pixel[:3]]


def grey(pixel: list[int], weights: list[int]) -> list[int]:
    if len(pixel) == 1:
        return pixel
    return [round_half_up(Fraction(sum(weight * value for weight, value in zip(weights, pixel, strict=True)), 1000))]


def rim_mean(pixels: Pixels) -> Fraction:
    height, width = len(pixels), len(pixels[0])
    rim = [
        value
        for y in range(height)
        for x in range(width)
        if y in (0, height - 1) or x in (0, width - 1)
        for value in pixels[y][x]
    ]
    return Fraction(sum(rim), len(rim))


def resize(pixels: Pixels, step: dict[str, Any], border: int) -> Pixels:
    height, width = len(pixels), len(pixels[0])
    new_height, new_width = step["height"], step["width"]
    by_width, by_height = Fraction(new_width, width), Fraction(new_height, height)
    if step["fit"] == "stretch":
        across, down = by_width, by_height
    else:
        across = down = min(by_width, by_height) if step["fit"] == "contain" else max(by_width, by_height)
    if step["resampler"] == "area":
        return area(pixels, (new_height, new_width), (down, across), border)
    bilinear = pil if step["resampler"] == "pil-bilinear" else tensorflow
    if step["fit"] == "cover":
        tall, wide = (
            max(1, min(size, round_half_up(new / scale)))
            for size, new, scale in ((height, new_height, down), (width, new_width, across))
        )
        top, left = (height - tall) // 2, (width - wide) // 2
        part = [row[left : left + wide] for row in pixels[top : top + tall]]
        return bilinear(part, new_height, new_width)
    tall, wide = (
        max(1, min(new, round_half_up(size * scale)))
        for size, new, scale in ((height, new_height, down), (width, new_width, across))
    )
    inner = bilinear(pixels, tall, wide)
    top, left = (new_height - tall) // 2, (new_width - wide) // 2
    channels = len(pixels[0][0])
    result = [[[border] * channels for _ in range(new_width)] for _ in range(new_height)]
    for y, row in enumerate(inner):
        result[top + y][left : left + wide] = row
    return result


def area(pixels: Pixels, size: tuple[int, int], scale: tuple[Fraction, Fraction], border: int) -> Pixels:
    """Each new pixel is the mean of what it covers of the plane, in which all around the picture is border."""
    height, width, channels = len(pixels), len(pixels[0]), len(pixels[0][0])
    top, left = (
        round_half_up((new - old * ratio) / 2)
        for new, old, ratio in zip(size, (height, width), scale, strict=True)
    )  # fmt: skip
    rows, columns = (
        [[overlap(place, first, ratio, old) for old in range(count)] for place in range(new)]
        for new, first, ratio, count in ((size[0], top, scale[0], height), (size[1], left, scale[1], width))
    )
    result = []
    for down in rows:
        line = []
        for across in columns:
            values = [
                sum(a * b * pixels[y][x][channel] for y, a in enumerate(down) if a for x, b in enumerate(across) if b)
                for channel in range(channels)
            ]
            rest = (1 - sum(down, Fraction(0)) * sum(across, Fraction(0))) * border
            line.append([round_half_up(Fraction(value) + rest) for value in values])
        result.append(line)
    return result


def overlap(place: int, first: int, ratio: Fraction, old: int) -> Fraction:
    """The share of a new pixel that an old one covers, along one axis."""
    begin, end = (place - first) / ratio, (place + 1 - first) / ratio
    return max(Fraction(0), min(end, Fraction(old + 1)) - max(begin, Fraction(old))) * ratio


def pil(pixels: Pixels, height: int, width: int) -> Pixels:
    wide = [transpose_axis([pixel for pixel in row], width) for row in pixels]
    columns = [transpose_axis([row[x] for row in wide], height) for x in range(width)]
    return [[columns[x][y] for x in range(width)] for y in range(height)]


def transpose_axis(line: list[list[int]], new: int) -> list[list[int]]:
    """One line of pixels at another length, by a triangle, with weights in 2 ** -22."""
    old = len(line)
    result = []
    for place in range(new):
        middle, reach = Fraction((2 * place + 1) * old, 2 * new), max(Fraction(1), Fraction(old, new))
        shares = [max(Fraction(0), 1 - abs(Fraction(2 * i + 1, 2) - middle) / reach) for i in range(old)]
        weights = [round_half_up(share / sum(shares) * 2**22) for share in shares]
        values = [
            sum(weight * pixel[c] for weight, pixel in zip(weights, line, strict=True)) for c in range(len(line[0]))
        ]
        result.append([min(255, max(0, round_half_up(Fraction(value, 2**22)))) for value in values])
    return result


def tensorflow(pixels: Pixels, height: int, width: int) -> Pixels:
    def neighbours(place: int, old: int, new: int) -> list[tuple[int, Fraction]]:
        position = Fraction((2 * place + 1) * old, 2 * new) - Fraction(1, 2)
        first = floor(position)
        return [(min(max(first + i, 0), old - 1), abs(1 - i - (position - first))) for i in (0, 1)]

    down = [neighbours(y, len(pixels), height) for y in range(height)]
    across = [neighbours(x, len(pixels[0]), width) for x in range(width)]
    return [
        [
            [
                round_half_up(sum((a * b * pixels[y][x][c] for y, a in tall for x, b in wide), Fraction(0)))
                for c in range(len(pixels[0][0]))
            ]
            for wide in across
        ]
        for tall in down
    ]


def hash_text(text: str, words: int, buckets: int) -> list[int]:
    """The ids of a text's words, byte by byte, by the published algorithm of FNV-1a."""
    found: list[bytearray] = [bytearray()]
    for byte in text.encode("utf-8"):
        small = byte + 32 if ord("A") <= byte <= ord("Z") else byte
        if small >= 0x80 or ord("a") <= small <= ord("z") or ord("0") <= small <= ord("9"):
            found[-1].append(small)
        elif found[-1]:
            found.append(bytearray())
    ids = []
    for word in filter(None, found):
        number = 0x811C9DC5
        for byte in word:
            number = (number ^ byte) * 0x01000193 % 2**32
        ids.append(number % buckets + 1)
    return (ids + [0] * words)[:words]
