"""Keras 3 models that the bridge must carry, and what the tests ask about them; runs in the TensorFlow process."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from edgeship.optimize.bridge.bridge import CARRIED
from edgeship.optimize.bridge.proof import bridge_with_proof, compare_models, random_feeds

SIZES = {"InceptionV3": 96, "Xception": 96, "NASNetMobile": 64}


@keras.saving.register_keras_serializable("tests")
class Gate(layers.Layer):
    """A layer of a user's own: a trainable matrix, a moving average, and a layer inside."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner = layers.Dense(6, name="inner")

    def build(self, shape: Any) -> None:
        self.mix = self.add_weight(shape=(shape[-1], shape[-1]), name="mix")
        self.mean = self.add_weight(shape=(shape[-1],), name="mean", trainable=False, initializer="zeros")
        self.inner.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * keras.ops.mean(x, axis=0))
        return keras.ops.sigmoid(self.inner(x)) * keras.ops.matmul(x - self.mean, self.mix)


class Own(keras.Model):
    """A subclassed model."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def _shared() -> Any:
    a, b = keras.Input((8,), name="a"), keras.Input((8,), name="b")
    tower = layers.Dense(5, activation="tanh", name="tower")
    return keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([tower(a), tower(b)])))


def _nested() -> Any:
    inner = keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()], name="inner")
    within = keras.Input((12, 12, 3))
    middle = keras.Model(within, layers.ReLU()(inner(within)), name="middle")
    image, other = keras.Input((12, 12, 3)), keras.Input((12, 12, 3))
    both = layers.Add()([middle(image, training=False), middle(other)])
    return keras.Model([image, other], layers.Dense(3)(layers.Flatten()(both)))


def _dictionary() -> Any:
    image, meta = keras.Input((16, 16, 3), name="photo"), keras.Input((5,), name="meta")
    features = layers.GlobalAveragePooling2D()(layers.SeparableConv2D(6, 3, activation="relu")(image))
    mixed = layers.Concatenate()([features, layers.Dense(4)(meta)])
    outputs = {"kind": layers.Dense(3, activation="softmax")(mixed), "size": layers.Dense(1)(mixed)}
    return keras.Model({"photo": image, "meta": meta}, outputs)


def _merges() -> Any:
    x = keras.Input((6,))
    a, b = layers.Dense(4)(x), layers.Dense(4)(x)
    parts = [kind()([a, b]) for kind in (layers.Add, layers.Multiply, layers.Maximum, layers.Minimum, layers.Average)]
    parts += [layers.Subtract()([a, b]), layers.Dot(axes=1)([a, b]), keras.ops.sqrt(a * a + 2.0), 1 - b]
    return keras.Model(x, layers.Concatenate()(parts))


def _activations() -> Any:
    x = keras.Input((6,))
    names = ("hard_silu", "hard_sigmoid", "relu6", "gelu", "log_softmax", "leaky_relu", "celu", "mish")
    parts = [layers.Dense(3, activation=name)(x) for name in names]
    parts += [layers.LeakyReLU(0.1)(parts[0]), layers.PReLU()(parts[1]), layers.ELU()(parts[2])]
    return keras.Model(x, layers.Concatenate()(parts))


def _normalized() -> Any:
    scale = layers.Normalization()
    scale.adapt(np.random.default_rng(1).normal(3, 2, (50, 7)).astype("float32"))
    x = keras.Input((7,))
    features = layers.LayerNormalization(rms_scaling=True)(layers.Rescaling(0.5, 1.0)(scale(x)))
    features = layers.UnitNormalization()(layers.GroupNormalization(groups=7)(features))
    return keras.Model(x, layers.Dense(3)(features))


def _recurrent() -> Any:
    words = keras.Input((9,), dtype="int32")
    features = layers.Embedding(20, 6, mask_zero=True)(words)
    features = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(features)
    features = layers.TimeDistributed(layers.Dense(4))(layers.GRU(5, return_sequences=True)(features))
    return keras.Model(words, layers.SimpleRNN(3)(features))


def _attention() -> Any:
    x = keras.Input((9, 8))
    features = layers.MultiHeadAttention(2, 4)(x, x)
    features = layers.LayerNormalization()(layers.Add()([x, features]))
    return keras.Model(x, layers.EinsumDense("abc,cd->abd", (None, 5))(layers.Dropout(0.5)(features)))


def _custom() -> Any:
    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(2)(Gate(name="gate")(x)))


def _series() -> Any:
    x = keras.Input((None, 4))
    features = layers.Conv1D(6, 3, padding="causal", dilation_rate=2)(x)
    features = layers.Conv1DTranspose(4, 3)(layers.DepthwiseConv1D(3)(layers.ZeroPadding1D(2)(features)))
    return keras.Model(x, layers.GlobalMaxPooling1D()(layers.MaxPooling1D()(features)))


CASES = {
    "shared": _shared,
    "nested": _nested,
    "dictionary": _dictionary,
    "merges": _merges,
    "activations": _activations,
    "normalized": _normalized,
    "recurrent": _recurrent,
    "attention": _attention,
    "custom": _custom,
    "series": _series,
    "subclassed": lambda: _called(Own()),
}


def _called(model: Any) -> Any:
    model(np.zeros((1, 4), "float32"))
    return model


def application(name: str) -> Any:
    """A network of keras.applications with random weights and no softmax, which would hide differences."""
    size = SIZES.get(name, 64)
    return getattr(keras.applications, name)(weights=None, classifier_activation=None, input_shape=(size, size, 3))


def shake(model: Any, seed: int) -> None:
    """Change every weight a little: layers as they are made would not show weights that were mixed up."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        value = np.asarray(weight)
        if value.dtype.kind != "f":
            continue
        factor = generator.uniform(0.5, 1.5, value.shape)
        noise = (
            0 if "var" in weight.name else generator.standard_normal(value.shape) * (np.abs(value).mean() + 0.1) / 20
        )
        weight.assign(value * factor + noise if "var" in weight.name else value + noise)


def there_and_back(name: str) -> dict[str, Any]:
    """Bridge a model, change the weights on the other side, bring them back: what the two models say to each other."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    model = CASES[name]() if name in CASES else application(name)
    shake(model, 0)
    bridge, proof = bridge_with_proof(model)
    before = compare_models(bridge, random_feeds(model, seed=5))
    for weight in bridge.model.weights:
        if weight.dtype.is_floating:
            weight.assign(weight * 1.01)  # more, and a deep random network amplifies its rounding
    for bridged_layer in bridge.bridged_layers:
        if hasattr(bridged_layer.layer, "finalize_state"):
            bridged_layer.layer.finalize_state()
    apart = compare_models(bridge, random_feeds(model))
    bridge.copy_weights_back()
    back = compare_models(bridge, random_feeds(model, seed=7))
    return {
        "shares": [proof.share, before.share, back.share],
        "apart": apart.share,
        "carried": {
            layer.name: layer.why for layer in bridge.bridged_layers if layer.how == CARRIED and layer.weight_pairs()
        },
        "layers": [layer.name for layer in bridge.model.layers],
        "trainable": len(bridge.model.trainable_weights) == len(model.trainable_weights),
    }


def quantized() -> None:
    """Bridge a model that Keras itself has quantized."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4)])
    model.quantize("int8")
    bridge_with_proof(model)


def frozen() -> list[bool]:
    """Whether layers that are frozen stay so."""
    model = CASES["nested"]()
    model.get_layer("middle").get_layer("inner").trainable = False
    bridge, _ = bridge_with_proof(model)
    return [bridged_layer.layer.trainable for bridged_layer in bridge.bridged_layers if "inner/" in bridged_layer.name]


def mistaken() -> float:
    """What the proof says where one weight of one layer is not the same."""
    model = CASES["shared"]()
    bridge, _ = bridge_with_proof(model)
    kernel = bridge.bridged_layers[0].layer.weights[0]
    kernel.assign(kernel + 1e-3)
    proof = compare_models(bridge, random_feeds(model))
    assert not proof.holds
    return proof.share
