"""Models for the page, small enough to be made in a test: `build(folder)` writes each with its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def build(folder: str) -> None:
    """`pictures`: bytes of 12 x 12 in one grey channel on a dark ground; `pair`: two inputs and two outputs of numbers."""
    import keras
    import numpy as np

    root, random = Path(folder), np.random.default_rng(3)
    keras.utils.set_random_seed(3)
    _pictures(keras).save(root / "pictures.keras")
    images = np.zeros((40, 12, 12, 1), np.float32)
    images[:, 2:10, 3:9] = random.integers(60, 256, (40, 8, 6, 1))
    np.savez(root / "pictures.npz", image=images, y=random.integers(0, 4, 40))
    (root / "labels.txt").write_text("cup\njar\npan\npot\n")
    _pair(keras).save(root / "pair.keras")
    numbers: dict[str, Any] = {
        "values": random.normal(size=(30, 4)).astype(np.float32),
        "ids": random.integers(0, 6, (30, 3), np.int64),
    }
    np.savez(root / "pair.npz", **numbers)


def _pictures(keras: Any) -> Any:
    x = image = keras.Input((12, 12, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.DepthwiseConv2D(3, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(4, activation="softmax", name="probabilities")(x))


def _pair(keras: Any) -> Any:
    values, ids = keras.Input((4,), name="values"), keras.Input((3,), dtype="int64", name="ids")
    x = keras.layers.Flatten()(keras.layers.Embedding(6, 4)(ids))
    x = keras.layers.Concatenate()([x, values])
    outputs = {"amount": keras.layers.Dense(1, name="amount")(x), "scores": keras.layers.Dense(5, name="scores")(x)}
    return keras.Model({"values": values, "ids": ids}, outputs)
