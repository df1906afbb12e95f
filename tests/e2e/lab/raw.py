"""Models on raw features of very different scales, untrained, with data that they answer themselves: `build(folder)`.

table   into a `Normalization`, as tables are
window  into a `Normalization` of its own for each place, which only a search finds out about
roots   of squares, which a `.tflite` has in float and an `.onnx` in int8
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCALES = (0.02, 1.0, 40.0, 900.0, 60000.0)


def build(folder: str) -> None:
    """Write NAME/server.keras, calibration.npz and evaluation.npz for each."""
    import keras
    import numpy as np

    random, scales = np.random.default_rng(4), np.array(SCALES, np.float32)
    for name, shape, axes in (("table", (5,), (-1,)), ("window", (12, 5), (1, 2))):
        keras.utils.set_random_seed(3)
        inputs = keras.Input(shape, name="features")
        samples = ((1 + random.standard_normal((3000, *shape))) * scales).astype(np.float32)
        normalization = keras.layers.Normalization(axis=axes, name="scale")
        normalization.adapt(samples[:500])
        x = keras.layers.Flatten()(normalization(inputs))
        x = keras.layers.Dense(48, activation="relu", name="hidden")(x)
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="kind")(x))
        _save(model, samples, Path(folder) / name)
    keras.utils.set_random_seed(0)
    features = keras.Input((8,), name="features")
    x = keras.layers.Dense(32, kernel_initializer="he_normal", name="first")(features)
    x = keras.layers.Dense(32, activation="relu", name="mix")(keras.ops.sqrt(keras.ops.square(x)))
    steep = keras.initializers.RandomNormal(stddev=1.5)
    kind = keras.layers.Dense(3, activation="softmax", kernel_initializer=steep, name="kind")(x)
    samples = np.random.default_rng(1).standard_normal((3500, 8)).astype(np.float32)
    _save(keras.Model(features, kind), samples, Path(folder) / "roots")


def _save(model: Any, samples: Any, place: Path) -> None:
    import numpy as np

    place.mkdir()
    model.save(place / "server.keras")
    labels = np.argmax(model.predict(samples[500:], verbose=0), axis=-1)
    np.savez(place / "calibration.npz", features=samples[:500])
    np.savez(place / "evaluation.npz", features=samples[500:], y=labels)
