"""Two small tasks that train in seconds, for what is to be seen over many seeds: called in the TensorFlow process.

windows   smart-watch windows, three convolutions over time; raw units into a Normalization, so int8 is noisy
pictures  Fashion-MNIST at 14x14, enlarged again inside the model, batch normalization, three convolutions; int8 is nearly silent
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

EPOCHS = {"windows": 8, "pictures": 5}
TRAINED = 6000  # pictures at most: the rest of the training data is for nothing here


def train(out: str, task: str, seed: int) -> None:
    """Write `server.keras`, `earlier.keras` (an epoch before), `calibration.npz`, and two halves of the test data.

    These are `evaluation.npz` and `second.npz`, every other sample of each.
    """
    import keras

    splits, model = TASKS[task](seed)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    folder, (inputs, labels) = Path(out), splits["train"]
    model.fit(inputs, labels, epochs=EPOCHS[task] - 1, batch_size=32, verbose=0)
    model.save(folder / "earlier.keras")
    model.fit(inputs, labels, batch_size=32, verbose=0)
    model.save(folder / "server.keras")
    name = model.inputs[0].name
    np.savez(folder / "calibration.npz", **{name: splits["calibration"][0]})
    inputs, labels = splits["test"]
    for file, first in (("evaluation", 0), ("second", 1)):
        np.savez(folder / f"{file}.npz", **{name: inputs[first::2], "y": labels[first::2]})


def windows(seed: int) -> tuple[dict[str, Any], Any]:
    """The splits (inputs (n, 128, 6), labels (n,)) and the model to train."""
    import keras

    from edgeship.train import motion

    data = motion.load(None)
    splits = {name: (split.inputs.astype(np.float32), split.labels) for name, split in data.splits.items()}
    keras.utils.set_random_seed(seed)
    first = keras.Input((128, 6), name="window")
    normalize = keras.layers.Normalization()
    normalize.adapt(splits["train"][0])
    tensor = normalize(first)
    for filters in (16, 24, 32):
        tensor = keras.layers.Conv1D(filters, 5, strides=2, activation="relu")(tensor)
    return splits, _classifier(first, keras.layers.GlobalAveragePooling1D()(tensor), len(motion.LABELS))


def pictures(seed: int) -> tuple[dict[str, Any], Any]:
    """The splits (inputs (n, 14, 14, 1), labels (n,)) and the model to train."""
    import keras

    from edgeship.train import fashion_mnist

    data = fashion_mnist.load(None)
    splits = {name: (_halved(split.inputs), split.labels) for name, split in data.splits.items()}
    splits["train"] = (splits["train"][0][:TRAINED], splits["train"][1][:TRAINED])
    keras.utils.set_random_seed(seed)
    first = keras.Input((14, 14, 1), name="picture")
    tensor = keras.layers.UpSampling2D(2, interpolation="bilinear")(keras.layers.Rescaling(1 / 255)(first))
    tensor = keras.layers.Conv2D(12, 3, strides=2, use_bias=False)(tensor)
    tensor = keras.layers.ReLU()(keras.layers.BatchNormalization()(tensor))
    for filters in (24, 32):
        tensor = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(tensor)
    return splits, _classifier(first, keras.layers.GlobalAveragePooling2D()(tensor), len(fashion_mnist.LABELS))


def _classifier(first: Any, features: Any, classes: int) -> Any:
    import keras

    return keras.Model(first, keras.layers.Dense(classes, activation="softmax", name="probabilities")(features))


def _halved(images: Any) -> Any:
    """Means of 2x2 pixels, as float32 with one channel."""
    plain = np.asarray(images, np.float32).reshape(len(images), 14, 2, 14, 2)
    return plain.mean(axis=(2, 4))[..., None]


TASKS = {"windows": windows, "pictures": pictures}
