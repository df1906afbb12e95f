"""How a picture becomes a model's input, described so that an app or a page can do the same as training did.

A `PictureInput` by input name, as JSON in a bundle's manifest; web-demo/src/preprocess.ts is the implementation.
A bundle's manifest may say it itself; else it is read off the goldens, and only where they leave no doubt: an input of
height x width x 1 or 3 whose values are all bytes, stored as 0 to 255, 0 to 1 or -1 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeship.data import Array
from edgeship.light_dataclass import dataclass
from edgeship.types import TensorSpec

RANGES = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0))
# The mean of the outermost pixels, as a share of white, below (above) which the data has a dark (bright) ground.
DARK, LIGHT = 0.2, 0.8
# A tone curve that is coarser than this has too few levels to be taken for a picture.
LEAST_LEVELS = 16


@dataclass(frozen=True)
class PictureInput:
    """A picture of that size in pixels, with 1 or 3 channels whose values are in `range`.

    `fit`: whether it is shown whole ("contain") or fills the input ("cover"); `background`: "dark", "light" or "any".
    """

    height: int
    width: int
    channels: int
    fit: str
    background: str
    range: tuple[float, float]
    kind: str = "image"


def describe_pictures(inputs: Sequence[TensorSpec], samples: Mapping[str, Array]) -> dict[str, PictureInput]:
    """What is certain about the inputs that are pictures; empty where none is.

    `samples` are the goldens: arrays of N x H x W x C (or N x H x W, taken as one channel) by input name.
    """
    described = {spec.name: _describe_picture(samples[spec.name]) for spec in inputs if spec.name in samples}
    return {name: picture for name, picture in described.items() if picture}


def _describe_picture(samples: Array) -> PictureInput | None:
    if samples.ndim != 4 or samples.shape[3] not in (1, 3) or min(samples.shape[1:3]) < 8:
        return None
    values = samples.astype(np.float64)
    span = next((span for span in RANGES if _are_bytes_in(values, *span)), None)
    if span is None:
        return None
    _, height, width, channels = samples.shape
    shares = (values - span[0]) / (span[1] - span[0])
    return PictureInput(
        height=height,
        width=width,
        channels=channels,
        fit="contain" if channels == 1 else "cover",
        background=_background_shade(shares) if channels == 1 else "any",
        range=span,
    )


def _are_bytes_in(values: Array, low: float, high: float) -> bool:
    """Whether the values are bytes mapped onto that range, and use it: 0 to 1 would also fit into 0 to 255."""
    for part in (values[:1], values):  # most of what is no picture shows it in its first sample
        levels = (part - low) / (high - low) * 255
        if not (levels.min() > -0.5 and levels.max() < 255.5 and np.abs(levels - levels.round()).max() < 1e-3):
            return False
    return len(np.unique(levels.round())) >= LEAST_LEVELS


def _background_shade(shares: Array) -> str:
    """The ground of the pictures (n, h, w, c): dark or light where all have it, so that none of them would be inverted."""
    inner = shares[:, 1:-1, 1:-1]
    rims = (shares.sum((1, 2, 3)) - inner.sum((1, 2, 3))) / (shares[0].size - inner[0].size)
    mean = float(rims.mean())
    if mean < DARK and rims.max() <= 0.5:
        return "dark"
    return "light" if mean > LIGHT and rims.min() >= 0.5 else "any"
