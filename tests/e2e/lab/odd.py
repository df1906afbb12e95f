"""Builds the models that the tests of bad input and of further training need; called in a TensorFlow process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CUSTOM = '''
import keras

@keras.saving.register_keras_serializable(package="mine")
class Doubled(keras.layers.Layer):
    """Twice its input."""

    def call(self, inputs):
        return inputs * 2
'''
# Layers that are hard on a format: most operators stay float, divide by what rounds to zero, or are none of TFLite's.
HARD = '''
import keras
from keras import ops

@keras.saving.register_keras_serializable(package="mine")
class Wave(keras.layers.Layer):
    """Sine and cosine of its input."""

    def call(self, inputs):
        return ops.concatenate([ops.sin(inputs), ops.cos(inputs)], axis=-1)

@keras.saving.register_keras_serializable(package="mine")
class Share(keras.layers.Layer):
    """Each value's share of their sum."""

    def call(self, inputs):
        return inputs / (ops.sum(inputs, axis=-1, keepdims=True) + 1e-3)

@keras.saving.register_keras_serializable(package="mine")
class Tangent(keras.layers.Layer):
    """The tangent of its input."""

    def call(self, inputs):
        return ops.tan(inputs)
'''


def small(width: int, name: str) -> Any:
    """A convolutional classifier of 8x8 images with a 1x1 convolution."""
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((8, 8, 1), name="image"),
            layers.Conv2D(width, 3, strides=2, padding="same", activation="relu", name="first"),
            layers.Conv2D(2 * width, 1, use_bias=False, name="point"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, activation="softmax", name="kind"),
        ],
        name=name,
    )


def build(folder: str) -> None:
    """A Lambda layer, a custom layer with its module, an op that no device format has, words, and small classifiers."""
    import keras
    import tensorflow as tf

    root = Path(folder)
    keras.utils.set_random_seed(1)

    def save(name: str, *layers: Any) -> Any:
        model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, name="first"), *layers])
        model.save(root / f"{name}.keras")
        return model

    save("plain")
    words = keras.Sequential([keras.Input((6,), dtype="int32", name="ids"), keras.layers.Embedding(50, 4)])
    words.add(keras.layers.GlobalAveragePooling1D())
    words.add(keras.layers.Dense(3))
    words.save(root / "words.keras")
    small(16, "small").save(root / "small.keras")
    small(4, "client").save(root / "client.keras")
    save("lambda", keras.layers.Lambda(lambda x: x + 1))
    (root / "mylayers.py").write_text(CUSTOM)
    scope: dict[str, Any] = {}
    exec(CUSTOM, scope)
    save("custom", scope["Doubled"]())
    (root / "hard.py").write_text(HARD)
    exec(HARD, scope)
    waves = [scope["Wave"](name=f"wave{number}") for number in range(4)]
    save("waves", *waves, keras.layers.Dense(3, name="last"))
    save("tangents", scope["Tangent"](name="tangent"), keras.layers.Dense(3, name="last"))
    save("shares", keras.layers.ReLU(), scope["Share"](name="share"), keras.layers.Dense(3, name="last"))

    class Unsupported(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 4, 4), tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            with tf.name_scope("spectrum"):
                return {"values": tf.linalg.svd(x, compute_uv=False)}

    module = Unsupported()
    tf.saved_model.save(
        module, str(root / "svd"), signatures={"serving_default": module.__call__.get_concrete_function()}
    )


def build_known(folder: str) -> None:
    """Models of four numbers whose answers are known: the largest of the first three; the same again; always class 1."""
    import keras
    import numpy as np

    kernel, bias = np.eye(4, 3), np.array([0, 0.01, 0])
    weights = {"server": (4 * kernel, bias), "newer": (5 * kernel, bias), "same": (0 * kernel, bias)}
    for name, values in weights.items():
        model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, "softmax", name="kind")])
        model.set_weights(values)
        model.save(Path(folder) / f"{name}.keras")
