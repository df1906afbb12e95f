"""A small world: pictures of 8 x 8 of four kinds of bars, a model that knows them, and a field where they moved.

`build(folder)` runs in a TensorFlow process; all else needs numpy alone.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LABELS = ("left", "right", "top", "bottom")
CONFIG = """
[data]
calibration = "calibration.npz"
evaluation = "evaluation.npz"
train = "train.npz"
labels = "labels.txt"

[variants.float32]
formats = ["tflite"]

[benchmark]
profile = "rapid"
metric = "top1"

[budget]
max_drop = 4.0
"""


def draw(samples: int, seed: int, *, moved: float = 0.0, noise: float = 60.0) -> tuple[Array, Array]:
    """Pictures (n, 8, 8, 1), 0 to 255, and their labels; a share of them is moved by two pixels, along both axes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=samples)
    pictures = rng.normal(80, noise, (samples, 8, 8))
    for number, label in enumerate(labels):
        bar = (
            np.s_[:, 1:3]
            if label == 0
            else np.s_[:, 5:7]
            if label == 1
            else np.s_[1:3, :]
            if label == 2
            else np.s_[5:7, :]
        )
        pictures[number][bar] += 110
    where = rng.random(samples) < moved
    pictures[where] = np.roll(pictures[where], (2, 2), axis=(1, 2))
    return np.clip(pictures, 0, 255).round().astype(np.float32)[..., None], labels.astype(np.int64)


def write(path: Path, pictures: Array, labels: Array | None = None) -> Path:
    """An `.npz` of pictures, with labels where there are some."""
    np.savez(path, image=pictures, **({} if labels is None else {"y": labels}))  # type: ignore[arg-type]
    return path


def write_labels(path: Path, names: Sequence[object], labels: Sequence[object], **more: Sequence[object]) -> Path:
    """A CSV of labels; `more`: further columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "label", *more])
        writer.writerows(zip(names, labels, *more.values(), strict=True))
    return path


def build(folder: str) -> None:
    """The champion's server model with its data and configuration."""
    import keras

    root = Path(folder)
    keras.utils.set_random_seed(3)
    x, y = draw(3000, 1)
    image = keras.Input((8, 8, 1), name="image")
    hidden = keras.layers.Rescaling(1 / 255)(image)
    hidden = keras.layers.Dense(24, activation="relu")(keras.layers.Flatten()(hidden))
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax", name="kind")(hidden))
    model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=64, epochs=6, verbose=0)
    model.save(root / "server.keras")
    write(root / "train.npz", x, y)
    write(root / "calibration.npz", x[:100])
    write(root / "evaluation.npz", *draw(1500, 2))
    (root / "labels.txt").write_text("\n".join(LABELS))
    (root / "edgeship.toml").write_text(CONFIG)
