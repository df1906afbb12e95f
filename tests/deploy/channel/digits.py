"""A small classifier of digits, and the same after light fine-tuning, for `test_delta`: `write_models(folder)` in a child."""

from __future__ import annotations

from pathlib import Path


def write_models(folder: str) -> None:
    """Write v1.keras, v2.keras, and the data that `ship` finds beside them."""
    import keras
    import numpy as np
    from sklearn.datasets import load_digits

    root, digits = Path(folder), load_digits()
    keras.utils.set_random_seed(1)
    images, truth = (digits.images / 16 * 255).round().astype(np.float32)[..., None], digits.target
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:1200], order[1200:]
    np.savez(root / "calibration.npz", image=images[train[:200]])
    np.savez(root / "evaluation.npz", image=images[test], y=truth[test])
    x = image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(x)
    for filters in (32, 64):
        x = keras.layers.Conv2D(filters, 3, activation="relu", padding="same")(x)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(x))
    x = keras.layers.Dense(128, activation="relu")(x)
    model = keras.Model(image, keras.layers.Dense(10, activation="softmax", name="probs")(x))
    for name, rate, epochs in (("v1", 1e-3, 15), ("v2", 1e-4, 1)):
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        model.fit(images[train], truth[train], epochs=epochs, batch_size=64, verbose=0)
        model.save(root / f"{name}.keras")
