"""Images of fashion-mnist as users may see them, as features of a bundle's base."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.client.learning import HeadLearner

Array = np.ndarray[Any, Any]
SHIFTS = ("rotation 20", "noise sd 40", "blur 1.2")
BATCH = 500


def shift_images(images: Array, shift: str) -> Array:
    """Images (n, 28, 28, 1) of 0 to 255 under a condition: rotation by degrees, noise and blur by standard deviation."""
    from scipy import ndimage

    kind, _, amount = shift.replace("sd ", "").partition(" ")
    plain = images.astype(np.float32)
    if kind == "rotation":
        plain = ndimage.rotate(plain, float(amount), axes=(1, 2), reshape=False, order=1)
    elif kind == "noise":
        plain = plain + np.random.default_rng(1).normal(0, float(amount), plain.shape)
    elif kind == "blur":
        plain = ndimage.gaussian_filter(plain, (0, float(amount), float(amount), 0))
    return np.clip(np.round(plain), 0, 255).astype(np.float32)


def read_images(evaluation: Path) -> tuple[Array, Array]:
    """The images and labels of an evaluation.npz."""
    with np.load(evaluation) as data:
        return data["image"], data["y"]


def compute_features(learner: HeadLearner, images: Array) -> Array:
    """The features of images by the learner's base."""
    name = learner.inputs[0]["name"]
    parts: Iterable[Array] = (
        learner.compute_features({name: images[at : at + BATCH]}) for at in range(0, len(images), BATCH)
    )
    return np.concatenate(list(parts))


def tilt_images(images: Array, share: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Images (n, 28, 28, 1) of which a share is tilted by 12 to 20 degrees, with noise of sd 20; and which ones (n,)."""
    from scipy import ndimage

    plain = images.astype(np.float32)
    moved = rng.random(len(images)) < share
    for row in np.flatnonzero(moved):
        tilted = ndimage.rotate(plain[row, :, :, 0], rng.uniform(12, 20), reshape=False, order=1)[..., None]
        plain[row] = np.clip(np.round(tilted + rng.normal(0, 20, tilted.shape)), 0, 255)
    return plain, moved
