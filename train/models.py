"""The server models: plain Keras 3 functional networks, with whatever preprocessing they need inside of them.

Keras is imported where a model is built, so that the tasks can be listed without TensorFlow.
"""

from __future__ import annotations

from typing import Any

from edgeship.train.dataset import Split


def image_classifier(train: Split, classes: int) -> Any:
    """A small convolutional network on raw grey images (batch, height, width, 1), float32 0..255.

    Ordinary 3x3 convolutions, batch normalization that folds into them, ReLU and max pooling: every converter and every
    int8 kernel knows these. The first layer, where the image is largest, goes without normalization: that saves a sixth
    of the training time and costs no accuracy.
    """
    from keras import Input, Model, layers

    image = Input(train.inputs.shape[1:], name="image")
    features = layers.Rescaling(1 / 255, name="rescale")(image)
    for number, filters in enumerate((24, 48, 96), 1):
        first = number == 1
        features = layers.Conv2D(filters, 3, padding="same", use_bias=first, name=f"conv{number}")(features)
        if not first:
            features = layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(features)
        features = layers.ReLU(name=f"relu{number}")(features)
        features = layers.MaxPooling2D(name=f"pool{number}")(features)
    features = layers.Flatten(name="flatten")(features)
    return Model(
        image, layers.Dense(classes, activation="softmax", name="probabilities")(features), name="image_classifier"
    )


def window_classifier(train: Split, classes: int) -> Any:
    """A small 1-D convolutional network on raw sensor windows (batch, time, channels), float32 in physical units."""
    from keras import Input, Model, layers

    normalize = layers.Normalization(axis=-1, name="normalize")
    normalize.adapt(train.inputs)
    window = Input(train.inputs.shape[1:], name="window")
    features = normalize(window)
    for number, filters in enumerate((32, 48, 64), 1):
        features = layers.Conv1D(filters, 7, padding="same", use_bias=False, name=f"conv{number}")(features)
        features = layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(features)
        features = layers.ReLU(name=f"relu{number}")(features)
        features = layers.MaxPooling1D(2, name=f"pool{number}")(features)
    features = layers.GlobalAveragePooling1D(name="average")(features)
    features = layers.Dropout(0.3, seed=0, name="dropout")(features)
    return Model(
        window, layers.Dense(classes, activation="softmax", name="probabilities")(features), name="window_classifier"
    )
