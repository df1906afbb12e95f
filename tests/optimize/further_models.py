"""Small Keras 3 models and data to train further, and what the tests look at in the files; runs in the TensorFlow process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from edgeship.server_model import server_model

SAMPLES = 240


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    """A subclassed model over dense layers like those of `table`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first = layers.Dense(32, activation="relu", name="first")
        self.last = layers.Dense(3, activation="softmax", name="last")

    def call(self, x: Any) -> Any:
        return self.last(self.first(x))


def _table() -> Any:
    x = keras.Input((8,), name="x")
    hidden = layers.Dense(32, activation="relu", name="first")(x)
    return keras.Model(x, layers.Dense(3, activation="softmax", name="last")(hidden))


def _pair() -> Any:
    image, meta = keras.Input((8, 8, 4), name="image"), keras.Input((8,), name="x")
    features = layers.Conv2D(8, 3, use_bias=False, name="conv")(layers.Rescaling(0.5, name="scale")(image))
    features = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(features))
    features = layers.GlobalAveragePooling2D(name="pool")(features)
    both = layers.Concatenate(name="both")([features, layers.Dense(8, activation="hard_silu", name="side")(meta)])
    return keras.Model([image, meta], [layers.Dense(3, name="kind")(both), layers.Dense(1, name="size")(both)])


def _own() -> Any:
    model = Own(name="own")
    model(np.zeros((1, 8), "float32"))
    return model


def build(folder: str) -> None:
    """Write the models, and data in which the class is what a plane through the inputs says."""
    root, generator = Path(folder), np.random.default_rng(2)
    keras.utils.set_random_seed(4 + int(os.environ.get("EDGESHIP_TEST_SEED", "0")))
    for name, model in (("table", _table()), ("pair", _pair()), ("own", _own())):
        model.save(root / f"{name}.keras")
    x = generator.standard_normal((SAMPLES, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)
    image = generator.integers(0, 255, (SAMPLES, 8, 8, 4)).astype(np.uint8)
    np.savez(root / "table.npz", x=x, y=y)
    np.savez(root / "pair.npz", x=x, image=image, y_kind=y, y_size=x[:, 2])
    np.savez(root / "unlabelled.npz", x=x)
    np.savez(root / "values.npz", x=x, y=np.where(y > 1, np.float32(1e30), np.float32(0))[:, None].repeat(3, 1))


def tensors(path: str) -> dict[str, dict[str, Any]]:
    """Share of zeros, number of values, and largest count of values that differ from zero in four input channels."""
    model = keras.saving.load_model(path)
    arrays = {}
    for layer in model._flatten_layers(include_self=False):
        for weight in layer.weights if not layer._layers else ():
            value = np.asarray(weight)
            groups = np.moveaxis(value, -2, -1).reshape(-1, 4) if value.ndim > 1 and value.shape[-2] % 4 == 0 else None
            arrays[f"{layer.name}/{weight.name}"] = {
                "zeros": float(np.mean(value == 0)),
                "values": len(np.unique(value)),
                "in_four": int(np.count_nonzero(groups, axis=1).max()) if groups is not None else None,
                "rows_in_blocks": bool(
                    np.all(
                        (value.reshape(-1, 4, value.shape[-1]) == 0).all(1)
                        | (value.reshape(-1, 4, value.shape[-1]) != 0).all(1)
                    )
                )
                if value.ndim == 2 and len(value) % 4 == 0
                else None,
            }
    return arrays


def parameters(path: str) -> int:
    """The number of parameters."""
    return int(keras.saving.load_model(path).count_params())


def answers(path: str) -> list[list[float]]:
    """What the server model, as this process holds it, answers on a fixed input."""
    return [array.tolist() for array in server_model.load(path).predict({"x": np.ones((1, 8), np.float32)}).values()]


def apart(one: str, other: str) -> float:
    """The mean absolute difference of what two models answer on some inputs."""
    feeds = {"x": np.random.default_rng(5).standard_normal((64, 8)).astype(np.float32)}
    answered = [
        np.stack(list(server_model.load(path, custom_objects="further_models").predict(feeds).values()))
        for path in (one, other)
    ]
    return float(np.abs(answered[0] - answered[1]).mean())
