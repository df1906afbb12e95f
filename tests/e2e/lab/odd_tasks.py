"""Small networks whose answers accuracy says little of, each trained here on synthetic data: `build(kind, folder)`.

rare    1 % of the windows hold a pulse: one sigmoid
boxes   squares and frames, at most one in each half of a picture: boxes (2, 6)
masks   which of three textures each pixel of a picture has: softmax (16, 16, 3)
words   a row of tones as numbers of words, as long as it is: softmax (8, 7)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def build(kind: str, folder: str) -> None:
    """Write server.keras, calibration.npz and evaluation.npz of a network into `folder`."""
    import keras

    keras.utils.set_random_seed(1)
    rng, place = np.random.default_rng(1), Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    model, draw, count = {"rare": _rare, "boxes": _boxes, "masks": _masks, "words": _words}[kind](keras)
    inputs, labels = draw(rng, 3000, training=True)
    model.fit(inputs, labels, epochs=count, batch_size=64, verbose=0)
    model.save(place / "server.keras")
    np.savez(place / "calibration.npz", x=inputs[:200])
    inputs, labels = draw(rng, 2000)
    np.savez(place / "evaluation.npz", x=inputs, y=labels, site=np.arange(len(labels)) % 3)


def stretch(folder: str, samples: int = 20_000) -> None:
    """Let some channels of the rare task's network span 60 times the others, which changes no answer in float; more data."""
    import keras

    place = Path(folder)
    model = keras.models.load_model(place / "server.keras")
    first, _, second, _ = model.layers
    factors = np.array([1, 1, 30, 1, 60, 1, 12, 1], np.float32)
    first.set_weights([array * factors for array in first.get_weights()])
    kernel, bias = second.get_weights()
    second.set_weights([kernel / factors[:, None], bias])
    model.save(place / "server.keras")
    _, draw, _ = _rare(keras)
    inputs, labels = draw(np.random.default_rng(5), samples)
    with np.load(place / "calibration.npz") as arrays:
        (name,) = (key for key in arrays.files if key not in ("y", "site"))
    np.savez(place / "evaluation.npz", **{name: inputs}, y=labels)


def _rare(keras: Any) -> tuple[Any, Any, int]:
    def draw(rng: Any, count: int, training: bool = False) -> tuple[Array, Array]:
        inputs = rng.normal(size=(count, 32, 1)).astype(np.float32)
        labels = (rng.random(count) < (0.1 if training else 0.01)).astype(np.int64)
        for row in np.flatnonzero(labels):
            start = rng.integers(0, 24)
            inputs[row, start : start + 8, 0] += rng.choice([2.5, 4, 6]) * np.hanning(8)
        return inputs, labels[:, None]

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 1)),
            layers.Conv1D(8, 8, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(8, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    return model, draw, 20


def _boxes(keras: Any) -> tuple[Any, Any, int]:
    def draw(rng: Any, count: int, training: bool = False) -> tuple[Array, Array]:
        pictures = rng.normal(0, 0.1, (count, 24, 24, 1)).astype(np.float32)
        corners, sides = (
            rng.integers([[0, 0], [12, 0]], [[3, 14], [15, 14]], (count, 2, 2)),
            rng.integers(5, 10, (count, 2)),
        )
        kinds = rng.integers(-1, 2, (count, 2))  # none, a square or a frame, in the left and the right half
        for row, slot in np.argwhere(kinds >= 0):
            (x, y), side = corners[row, slot], sides[row, slot]
            pictures[row, y : y + side, x : x + side] += 1
            if kinds[row, slot]:
                pictures[row, y + 1 : y + side - 1, x + 1 : x + side - 1] -= 1
        boxes = np.concatenate([corners, corners + sides[..., None]], axis=-1) / 24
        return pictures, np.concatenate([boxes, kinds[..., None]], axis=-1).astype(np.float32)

    def loss(labels: Any, outputs: Any) -> Any:
        ops = keras.ops
        there = ops.cast(labels[..., 4] >= 0, "float32")
        off = ops.sum(ops.abs(labels[..., :4] - outputs[..., :4]), axis=-1)
        score, kind = (keras.losses.binary_crossentropy(*pair) for pair in (
            (there[..., None], outputs[..., 4:5]), (ops.maximum(labels[..., 4:], 0), outputs[..., 5:]),
        ))  # fmt: skip
        return ops.mean(there * (5 * off + kind) + score)

    layers = keras.layers
    x = picture = keras.Input((24, 24, 1))
    for filters in (16, 32, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    model = keras.Model(picture, layers.Reshape((2, 6))(layers.Dense(12, activation="sigmoid")(x)))
    model.compile(keras.optimizers.Adam(3e-3), loss)
    return model, draw, 15


def _masks(keras: Any) -> tuple[Any, Any, int]:
    def draw(rng: Any, count: int, training: bool = False) -> tuple[Array, Array]:
        masks = np.zeros((count, 16, 16), np.int64)
        places = np.arange(16)
        for kind, size in ((1, 5.0), (2, 2.5)):
            centre = rng.random((count, 2, 1, 1)) * 16
            far = (places[:, None] - centre[:, 0]) ** 2 + (places - centre[:, 1]) ** 2
            masks[far < size**2] = kind
        inputs = np.array([0, 0.5, 1], np.float32)[masks] + rng.normal(0, 0.25, masks.shape)
        return inputs[..., None].astype(np.float32), masks

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.Conv2D(3, 1, activation="softmax", name="mask"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model, draw, 4


def _words(keras: Any) -> tuple[Any, Any, int]:
    def draw(rng: Any, count: int, training: bool = False) -> tuple[Array, Array]:
        words = rng.integers(1, 7, (count, 8)) * (np.arange(8) < rng.integers(2, 9, (count, 1)))
        time = np.arange(16) / 16
        tones = np.sin(2 * np.pi * words[..., None] * time) * (words[..., None] > 0)
        return (tones + rng.normal(0, 1.1, tones.shape)).astype(np.float32), words

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 16)),
            layers.Dense(32, activation="relu"),
            layers.Conv1D(32, 3, padding="same", activation="relu"),
            layers.Dense(7, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    return model, draw, 5
