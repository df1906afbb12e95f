"""Models with heads of every kind, and some without one, each small: `build(folder)`, in a process with TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIDE, CLASSES = 8, 4
STEP = {"features": 6, "outputs": 3, "batch": 8}


def draw(count: int, seed: int, *, moved: bool = False) -> dict[str, Any]:
    """Pictures (count, 8, 8, 1) of 0 to 255, one quarter of each bright; `moved`: as seen by another camera. With labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = random.normal(60, 35, (count, SIDE, SIDE, 1))
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 70
    if moved:
        images = np.roll(images, (3, 2), (1, 2))
    return {"image": images.round().clip(0, 255).astype(np.uint8), "y": labels.astype(np.int64)}


def build(folder: str) -> dict[str, str]:
    """Write the models, their data and training steps; returns by model what cutting it said where that was refused."""
    import keras

    from edgeship.convert.head import cut, step
    from edgeship.convert.onnx import convert as to_onnx
    from edgeship.convert.tflite import convert as to_tflite
    from edgeship.errors import InputError

    root, layers = Path(folder), keras.layers
    keras.utils.set_random_seed(3)
    data = draw(800, 0)
    image = keras.Input((SIDE, SIDE, 1), name="image")
    hidden = layers.Dense(24, activation="relu")(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="shares")(layers.Dropout(0.1)(hidden)))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(data["image"].astype(np.float32), data["y"], batch_size=64, epochs=8, verbose=0)
    (root / "task").mkdir()
    model.save(root / "task" / "pictures.keras")
    for name, arrays in {"train": data, "calibration": draw(160, 1), "evaluation": draw(400, 2)}.items():
        np.savez(root / "task" / f"{name}.npz", **arrays)
    refused = {}
    for name, other in _others(keras).items():
        other.save(root / f"{name}.keras")
        (root / name).mkdir()
        try:
            cut.run(model=str(root / f"{name}.keras"), out=str(root / name))
        except InputError as error:
            refused[name] = str(error)
    for activation in cut.ACTIVATIONS:
        step.run(str(root / activation), activation=activation, **STEP)
        to_tflite.run(str(root / activation), str(root / f"{activation}.tflite"))
        to_onnx.run(str(root / activation), str(root / f"{activation}.onnx"))
    return refused


def _others(keras: Any) -> dict[str, Any]:
    layers, dense = keras.layers, keras.layers.Dense
    vector, series = keras.Input((5,), name="row"), keras.Input((6, 5), name="series")
    hidden = dense(4, activation="relu")(vector)
    return {
        "own-softmax": keras.Model(vector, layers.Softmax()(dense(3)(hidden))),
        "sequential": keras.Sequential([vector, dense(4, activation="relu"), dense(2, activation="sigmoid")]),
        "numbers": keras.Model(vector, dense(2)(hidden)),
        "without": keras.Model(series, layers.GlobalAveragePooling1D()(layers.Conv1D(3, 2, name="last")(series))),
        "relu": keras.Model(vector, dense(3, activation="relu", name="bent")(hidden)),
        "twice": keras.Model(vector, layers.Softmax()(dense(3, activation="sigmoid", name="bent")(hidden))),
        "each-step": keras.Model(series, dense(3, activation="softmax", name="steps")(layers.Conv1D(4, 2)(series))),
        "two": keras.Model(vector, [dense(3)(hidden), dense(2)(hidden)]),
        "alone": keras.Model(vector, dense(3, activation="softmax", name="all")(vector)),
    }
