"""A small model of colours: squares on a noisy ground, 20 x 16 pixels; `build(folder)` leaves the model and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZE = (20, 16)
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (180, 180, 20))


def build(folder: str) -> None:
    """Train for a few seconds (called through FunctionProcess)."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(3)
    pictures, labels = _draw(1000, 1)
    image = keras.Input((*SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.Conv2D(12, 3, activation="relu")(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(len(COLOURS), activation="softmax", name="probs")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(pictures, labels, epochs=8, verbose=0)
    root = Path(folder)
    model.save(root / "server.keras")
    np.savez(root / "calibration.npz", x=pictures[:200], y=labels[:200])


def _draw(count: int, seed: int) -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(seed)
    labels = random.integers(0, len(COLOURS), count)
    pictures = 0.4 * random.integers(0, 256, (count, 5, 4, 3)).repeat(4, 1).repeat(4, 2)
    pictures += random.integers(0, 60, (count, *SIZE, 3))
    for picture, label in zip(pictures, labels, strict=True):
        top, left = random.integers(0, 12), random.integers(0, 8)
        picture[top : top + 8, left : left + 8] = COLOURS[label] + random.integers(-25, 25, (8, 8, 3))
    return np.clip(pictures, 0, 255).astype(np.uint8).astype(np.float32), labels
