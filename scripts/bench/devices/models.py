"""The models of `make bench-devices`, made with TensorFlow in a process of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="-1")
SAMPLES = 24


def applications(folder: Path) -> None:
    """MobileNetV2-96, and MobileNetV1-0.25-96 with one channel and with three; random weights, pictures and labels.

    Normalizations know the statistics of those pictures: else activations die out, and scales of int8 leave their range.
    """
    import keras

    keras.utils.set_random_seed(0)
    if not (folder / "mobilenetv2").exists():
        _save(keras.applications.MobileNetV2((96, 96, 3), weights=None), folder / "mobilenetv2")
    for channels in (1, 3):
        model = keras.applications.MobileNet((96, 96, channels), alpha=0.25, weights=None, classes=2)
        if not (folder / f"mobilenetv1-96x96x{channels}").exists():
            _save(model, folder / f"mobilenetv1-96x96x{channels}")


def _save(model: Any, folder: Path) -> None:
    import numpy as np

    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    shape = (SAMPLES, *model.inputs[0].shape[1:])
    momenta = {layer: layer.momentum for layer in model.layers if hasattr(layer, "momentum")}
    for layer in momenta:
        layer.momentum = 0.0
    model(random.random(shape, np.float32), training=True)
    for layer, momentum in momenta.items():
        layer.momentum = momentum
    model.save(folder / "server.keras")
    for name in ("calibration", "random"):
        labels = random.integers(model.outputs[0].shape[-1], size=SAMPLES)
        np.savez(folder / f"{name}.npz", x=random.random(shape, np.float32), y=labels)


def logits(source: Path, out: Path) -> None:
    """The same classifier without the softmax of its last layer."""
    import keras

    model = keras.models.load_model(source)
    last = model.layers[-1]
    dense = keras.layers.Dense(last.units, name="logits")
    keras.Model(model.inputs, dense(model.layers[-2].output)).save(out)
    bare = keras.models.load_model(out)
    bare.layers[-1].set_weights(last.get_weights())
    bare.save(out)


def sparse(source: Path, out: Path, share: float) -> None:
    """A float model, the smallest values of whose kernels are set to zero, `share` of them; stored twice.

    `dense.tflite` holds the zeros as they are, `sparse.tflite` in TFLite's sparse encoding (EXPERIMENTAL_SPARSITY).
    """
    import keras
    import numpy as np
    import tensorflow as tf

    model = keras.models.load_model(source)
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(kernel.shape) in (2, 4):
            values = np.array(kernel)
            edge = np.quantile(np.abs(values), share)
            values[np.abs(values) <= edge] = 0
            kernel.assign(values)
    saved = out / "saved_model"
    model.export(saved, verbose=False)
    for name, options in (("dense", []), ("sparse", [tf.lite.Optimize.EXPERIMENTAL_SPARSITY])):
        converter = tf.lite.TFLiteConverter.from_saved_model(os.fspath(saved))
        converter.optimizations = options
        (out / f"{name}.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    if sys.argv[1] == "applications":
        applications(Path(sys.argv[2]))
    elif sys.argv[1] == "logits":
        logits(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sparse(Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
