"""Fifty pictures and what is made of them, for clients in any language: by the reference, and as a file that drivers read."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from edgeship.data import Array
from edgeship.deploy.contract.inputs import ContractInput, RawForm, TensorForm
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.deploy.contract.steps import Affine, FlattenAlpha, Grey, Invert, Orient, Resize, Step, SwapRedBlue

RESAMPLERS = ("area", "pil-bilinear", "tf-bilinear")
FITS = ("stretch", "contain", "cover")
GROUNDS = ("", "dark", "light")
# Height and width of pictures and tensors: a pixel, a line, odd ones, shrunk and enlarged, one axis each way.
SIZES = [
    ((1, 1), (5, 4)), ((7, 1), (3, 8)), ((1, 9), (6, 5)), ((61, 47), (28, 28)), ((13, 11), (28, 28)),
    ((28, 28), (28, 28)), ((90, 33), (16, 24)), ((37, 120), (24, 16)), ((200, 9), (7, 31)), ((3, 5), (1, 1)),
]  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A picture (h, w, c), its EXIF orientation, and the input that takes it."""

    item: ContractInput
    pixels: Array
    orientation: int

    @property
    def wanted(self) -> Array:
        """The tensor by the reference."""
        return preprocess_input(self.item, self.pixels, self.orientation)

    def encode(self) -> bytes:
        """18 integers of 32 bits, the factors as float32, the pixels: what drivers read."""
        resize, affine = self.item.step(Resize), self.item.step(Affine)
        flatten, grey, invert = self.item.step(FlattenAlpha), self.item.step(Grey), self.item.step(Invert)
        assert resize and affine
        numbers = [
            resize.height, resize.width, 1 if grey else 3,
            bool(self.item.step(Orient)), flatten.ground if flatten else -1, *(grey.weights if grey else (0, 0, 0)),
            GROUNDS.index(invert.ground if invert else ""), RESAMPLERS.index(resize.resampler), FITS.index(resize.fit),
            -1 if resize.border == "rim" else resize.border, bool(self.item.step(SwapRedBlue)), len(affine.multiply),
            *self.pixels.shape, self.orientation,
        ]  # fmt: skip
        factors = struct.pack(f"<{2 * len(affine.multiply)}f", *affine.multiply, *affine.add)
        return struct.pack("<18i", *numbers) + factors + self.pixels.tobytes()


def draw_pictures(count: int = 60) -> list[Picture]:
    """As many pictures; each size, resampler, fit, orientation and number of channels comes with every other sooner or later."""
    return [_draw_picture(np.random.default_rng(number), number) for number in range(count)]


def _draw_picture(random: np.random.Generator, number: int) -> Picture:
    (height, width), (tall, wide) = SIZES[number % len(SIZES)]
    colour, stored = ("grey", "rgb")[number // 2 % 2], (1, 3, 4)[number // 10 % 3]
    grounds = random.permutation(GROUNDS)
    border = ("rim", 0, 255, 77)[int(random.integers(4))]
    steps: list[Step] = [Orient(), FlattenAlpha(int(random.integers(256)))]
    steps += [Grey((299, 587, 114) if number % 4 else (212, 716, 72))] if colour == "grey" else []
    steps += [Invert(grounds[0])] if grounds[0] else []  # type: ignore[arg-type]
    fit, resampler = FITS[number % 3], RESAMPLERS[number // 3 % 3]
    steps.append(Resize(tall, wide, fit, resampler, border))  # type: ignore[arg-type]
    steps += [SwapRedBlue()] if colour == "rgb" and number % 3 == 0 else []
    factors = 3 if colour == "rgb" and number % 2 else 1
    steps.append(Affine(tuple(random.uniform(-2, 2, factors).tolist()), tuple(random.uniform(-2, 2, factors).tolist())))
    channels = 1 if colour == "grey" else 3
    item = ContractInput(
        "image",
        "image",
        RawForm("uint8", "HWC", colour, alpha=True, orientation="exif"),  # type: ignore[arg-type]
        tuple(steps),
        TensorForm((1, tall, wide, channels), "float32"),
    )
    low = int(random.integers(0, 200))
    pixels = random.integers(low, low + 56, (height, width, stored), dtype=np.uint8)
    return Picture(item, pixels, number % 8 + 1)
