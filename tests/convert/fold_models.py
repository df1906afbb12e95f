"""Models with a depthwise convolution that something multiplies: built and asked in the TensorFlow process of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

L = keras.layers
BUILT: dict[str, Any] = {}


def normalized(x: Any, **options: Any) -> Any:
    return L.ReLU(6.0)(L.BatchNormalization(**options)(x))


@keras.saving.register_keras_serializable("fold")
class Subclassed(keras.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.depth, self.norm = L.DepthwiseConv2D(3, use_bias=False), L.BatchNormalization()

    def build(self, shape: Any) -> None:
        self.depth.build(shape)
        self.norm.build((None, 6, 6, 3))

    def call(self, image: Any) -> Any:
        return keras.ops.relu(self.norm(self.depth(image)))


def functional(name: str) -> Any:
    image = keras.Input((8, 8, 3), name="image")
    if name == "plain":
        x = normalized(L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(image))
        x = normalized(L.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    elif name == "biased":
        x = normalized(L.DepthwiseConv2D(3)(image))
    elif name == "uncentred":
        x = normalized(L.DepthwiseConv2D(3, strides=2, use_bias=False)(image), center=False)
    elif name == "read_twice":
        depth = L.DepthwiseConv2D(3, padding="same", use_bias=False)(image)
        x = L.Concatenate()([L.BatchNormalization()(depth), depth])
    elif name == "per_pixel":
        x = L.DepthwiseConv2D(3, padding="same")(image)
        x = x * np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    else:
        x = L.DepthwiseConv2D(3, padding="same")(image)
        x = L.Multiply()([x, L.GlobalAveragePooling2D(keepdims=True)(image)])
    return keras.Model(image, x)


def build(name: str, folder: str) -> str:
    """Write the model with random statistics of its batch normalization; returns its path."""
    keras.utils.set_random_seed(5)
    path = Path(folder) / name
    if name == "saved_model":
        return _saved_model(path)
    model = Subclassed(name="subclassed") if name == "subclassed" else functional(name)
    model(np.zeros((1, 8, 8, 3), np.float32))
    random = np.random.default_rng(3)
    for weight in model.weights:
        low = 0.5 if weight.name in ("gamma", "moving_variance") else -1.0
        weight.assign(random.uniform(low, 2.0, weight.shape))
    BUILT[str(path)] = model
    model.save(path.with_suffix(".keras"))
    return str(path.with_suffix(".keras"))


def _saved_model(path: Path) -> str:
    """Batch normalization by hand, as (x - mean) * scale + offset."""
    random = np.random.default_rng(4)
    kernel, mean, scale, offset = (random.normal(size=size).astype(np.float32) for size in ((3, 3, 3, 1), 3, 3, 3))
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, name="image")])
    def serve(image: Any) -> Any:
        x = tf.nn.depthwise_conv2d(image, kernel, (1, 1, 1, 1), "VALID")
        return {"out": tf.nn.relu((x - mean) * scale + offset)}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures=serve)
    BUILT[str(path)] = lambda image, **_: serve(tf.constant(image))["out"]
    return str(path)


def answer(path: str, image: list[Any]) -> list[Any]:
    """The model's own answer."""
    outputs: list[Any] = np.asarray(BUILT[path](np.array(image, np.float32), training=False)).tolist()
    return outputs
