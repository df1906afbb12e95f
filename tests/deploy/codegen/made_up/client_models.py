"""Two small models with their data and configurations: `build(folder)`.

colours  squares on a noisy ground, 20 x 16 pixels
mixed    untrained, an input of every other kind, with names that sort against their order
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SIZE = (20, 16)
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (180, 180, 20))


LABELS = ("red", "green", "blue", 'gelb "ü" $x? \\n')
MIXED = """
[data]
calibration = "calibration.npz"

[input.sound]
kind = "audio"
rate = 8000
channels = 2
multiply = 0.000030517578125

[input.motion]
kind = "window"
units = ["m/s2", "m/s2", "m/s2"]
mean = [0.5, -1.0, 2.0]
std = [1.5, 2.5, 3.0]

[input.row]
kind = "table"
multiply = [0.1, 1.0, 1.0]
columns = [
  {name = "age", kind = "number"},
  {name = "town", kind = "category", values = ["Köln", "a,b"], unknown = 2},
  {name = "x", kind = "number", missing = 0.5},
]

[input.note]
kind = "text"
buckets = 50

[input.plain]
kind = "tensor"

[output.wide]
threshold = 0.25
"""


def build(folder: str) -> None:
    """Train for a few seconds (called through FunctionProcess)."""
    import keras

    keras.utils.set_random_seed(3)
    _build_colours(keras, Path(folder) / "colour-squares")
    _build_mixed(keras, Path(folder) / "mixed")


def _build_colours(keras: Any, folder: Path) -> None:
    import numpy as np

    pictures, labels = _draw(1000, 1)
    image = keras.Input((*SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.Conv2D(12, 3, activation="relu")(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(len(COLOURS), activation="softmax", name="probs")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(pictures, labels, epochs=8, verbose=0)
    folder.mkdir()
    model.save(folder / "server.keras")
    np.savez(folder / "calibration.npz", x=pictures[:200], y=labels[:200])
    (folder / "edgeship.toml").write_text(f'[data]\ncalibration = "calibration.npz"\nlabels = {json.dumps(LABELS)}\n')


def _build_mixed(keras: Any, folder: Path) -> None:
    import numpy as np

    shapes = {"sound": (60,), "motion": (20, 3), "row": (3,), "plain": (4,)}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    parts = [keras.layers.Flatten()(item) for item in inputs.values()]
    inputs["note"] = keras.Input((6,), dtype="int32", name="note")
    parts.append(keras.layers.Flatten()(keras.layers.Embedding(51, 3)(inputs["note"])))
    x = keras.layers.Concatenate()(parts)
    x = keras.layers.Dense(12, activation="relu")(x)
    outputs = {
        "wide": keras.layers.Dense(5, name="wide")(x),
        "narrow": keras.layers.Dense(1, activation="sigmoid", name="narrow")(x),
    }
    random = np.random.default_rng(5)
    data: dict[str, Any] = {
        "sound": random.integers(-20000, 20000, (40, 60)) / 32768,
        "motion": (random.normal(0, 3, (40, 20, 3)).astype(np.float32) - (0.5, -1.0, 2.0)) / (1.5, 2.5, 3.0),
        "row": np.stack(
            [random.integers(18, 80, 40) * np.float32(0.1), random.integers(0, 3, 40), random.normal(size=40)], 1
        ),
        "plain": random.normal(size=(40, 4)),
    }
    folder.mkdir()
    keras.Model(inputs, outputs).save(folder / "server.keras")
    arrays: dict[str, Any] = {name: values.astype(np.float32) for name, values in data.items()}
    note = np.tril(random.integers(1, 51, (40, 6)), 3).astype(np.int32)
    np.savez(folder / "calibration.npz", **arrays, note=note)
    (folder / "edgeship.toml").write_text(MIXED)


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
