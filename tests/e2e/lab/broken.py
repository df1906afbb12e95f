"""A small trained model that int8 breaks, with its data: `build(folder)`.

Four noisy patterns are told apart by two depthwise blocks. Then all channels of one block but the first are made
smaller, a thousand times if not asked otherwise, and the next layer undoes it, which changes nothing in float (Nagel et
al. 2019, arXiv 1906.04721); an int8 tensor has one scale for all of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

CLASSES, SIDE = 4, 12


def build(folder: str, smaller: float = 1e-3) -> None:
    """Write `broken.keras`, `calibration.npz` and `evaluation.npz` into `folder` (called through FunctionProcess)."""
    import keras
    import numpy as np

    root = Path(folder)
    random = np.random.default_rng(3)
    patterns = random.normal(0, 1, (CLASSES, SIDE, SIDE, 1))

    def sample(count: int) -> dict[str, Any]:
        labels = random.integers(0, CLASSES, count)
        images = patterns[labels] + random.normal(0, 1.0, (count, SIDE, SIDE, 1))
        return {"image": images.astype(np.float32), "y": labels}

    train = sample(1500)
    np.savez(root / "calibration.npz", **sample(150))
    np.savez(root / "evaluation.npz", **sample(1200))
    keras.utils.set_random_seed(3 + int(os.environ.get("EDGESHIP_TEST_SEED", "0")))
    model = _net(keras)
    model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
    model.fit(train["image"], train["y"], batch_size=50, epochs=6, verbose=0)
    _spread(model, np.array([1.0] + [smaller] * 15, np.float32))
    model.save(root / "broken.keras")


def _net(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 1), name="image")
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="stem")(image)
    for block in range(2):
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name=f"depthwise{block}")(x)
        x = layers.Conv2D(16, 1, activation="relu", name=f"pointwise{block}")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="kind")(x))


def _spread(model: Any, scale: Any) -> None:
    depthwise, pointwise = model.get_layer("depthwise1"), model.get_layer("pointwise1")
    kernel, bias = depthwise.get_weights()
    depthwise.set_weights([kernel * scale[None, None, :, None], bias * scale])
    kernel, bias = pointwise.get_weights()
    pointwise.set_weights([kernel / scale[None, None, :, None], bias])
