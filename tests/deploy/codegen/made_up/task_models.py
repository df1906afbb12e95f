"""Small models of the other kinds of task, with their data: `build(folder)`. What is computed matters here, not how well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

AUDIO = '[data]\ncalibration = "calibration.npz"\n\n[input.sound]\nkind = "audio"\nrate = 16000\n'
TABLE = """
[data]
calibration = "calibration.npz"
labels = ["no", "yes"]

[input.row]
kind = "table"
columns = [
  {name = "age", kind = "number"},
  {name = "town", kind = "category", values = ["Köln", "a,b", "Ürümqi"]},
  {name = "income", kind = "number"},
]
"""
PHOTO = '[data]\ncalibration = "calibration.npz"\n\n[input.image]\nkind = "image"\n'


def build(folder: str) -> None:
    """Write `audio`, `table` and `mobilenetv2`, untrained (called through FunctionProcess)."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(7)
    random = np.random.default_rng(8)
    pcm = random.integers(-9000, 9000, (60, 800)) / 32768
    row = np.stack([random.integers(18, 80, 60), random.integers(0, 3, 60), random.normal(3000, 900, 60)], 1)
    blocks = random.integers(0, 256, (24, 12, 12, 3)).repeat(8, 1).repeat(8, 2)
    for name, model, samples, settings in (
        ("audio", _audio(keras), {"sound": pcm}, AUDIO),
        ("table", _table(keras, row), {"row": row}, TABLE),
        ("mobilenetv2", _mobilenet(keras), {"image": blocks}, PHOTO),
    ):
        place = Path(folder) / name
        place.mkdir()
        model.save(place / "server.keras")
        arrays: dict[str, Any] = {key: values.astype(np.float32) for key, values in samples.items()}
        np.savez(place / "calibration.npz", **arrays)
        (place / "edgeship.toml").write_text(settings)


def _audio(keras: Any) -> Any:
    sound = keras.Input((800,), name="sound")
    x = keras.layers.Conv1D(8, 64, strides=32, activation="relu")(keras.layers.Reshape((800, 1))(sound))
    return keras.Model(sound, keras.layers.Dense(4, activation="softmax", name="word")(keras.layers.Flatten()(x)))


def _table(keras: Any, row: Any) -> Any:
    inputs = keras.Input((3,), name="row")
    scaled = keras.layers.Normalization()
    scaled.adapt(row)
    x = keras.layers.Dense(16, activation="relu")(scaled(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="answer")(x))


def _mobilenet(keras: Any) -> Any:
    image = keras.Input((96, 96, 3), name="image")
    core = keras.applications.MobileNetV2(input_shape=(96, 96, 3), weights=None, classes=10)
    return keras.Model(image, core(keras.layers.Rescaling(1 / 127.5, -1.0)(image)))
