"""Models whose `.tflite` holds computed shapes and views; for a TensorFlow process."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def _flat(layers: Any, first: Any) -> Any:
    return layers.Dense(3)(layers.Flatten()(layers.Conv2D(4, 3)(first)))


def _steps(layers: Any, first: Any) -> Any:
    """Views between all layers; one of them is an output as well."""
    middle = layers.MaxPooling1D()(layers.Conv1D(6, 5, padding="same", activation="relu")(first))
    last = layers.AveragePooling1D(2)(layers.Conv1D(4, 3, strides=2)(middle))
    return [layers.Dense(3)(layers.Flatten()(last)), layers.Reshape((2, -1))(last), middle]


def _any_length(layers: Any, first: Any) -> Any:
    """Two axes that nobody knows beforehand: the shape that the dense layer computes must stay computed."""
    return layers.Dense(3)(layers.Conv1D(4, 3, padding="same")(first))


def _there_and_back(layers: Any, first: Any) -> Any:
    """A view back to the input's own shape, which both an output and a layer take."""
    back = layers.Reshape((8, 6))(layers.Reshape((6, 8))(first))
    return [back, layers.Dense(2)(back)]


MODELS = {
    "flat": ((8, 8, 2), _flat),
    "steps": ((24, 6), _steps),
    "any_length": ((None, 5), _any_length),
    "there_and_back": ((8, 6), _there_and_back),
}


def convert(name: str, folder: str) -> str:
    """TFLite's own conversion of a model with random weights; returns the file."""
    import keras
    import tensorflow as tf

    shape, build = MODELS[name]
    keras.utils.set_random_seed(0)
    first = keras.Input(shape)
    model = keras.Model(first, build(keras.layers, first))
    saved, out = Path(folder) / f"{name}-saved", Path(folder) / f"{name}.tflite"
    model.export(saved, verbose=False)
    out.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert())
    return str(out)
