"""Small real models of every kind that people bring, written to files. Runs inside the TensorFlow child process."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf_keras
import zoo_layers  # type: ignore[import-not-found]  # it lies beside, where the child process finds it
from keras import layers

K = tf_keras.layers


def build(name, folder):
    """Build the model of that name; returns its path."""
    keras.utils.set_random_seed(7)
    return str(globals()[f"_{name}"](Path(folder)))


def _save_module(model, path):
    model.save(path)
    return path


def _functional(folder):
    x = keras.Input((16, 16, 3), name="image")
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, name="first-conv")(layers.RandomFlip()(x)))
    y = layers.DepthwiseConv2D(3, activation="relu")(layers.Rescaling(0.5)(y))
    y = layers.Dense(4, activation="softmax", name="class: probs")(layers.GlobalAveragePooling2D()(y))
    return _save_module(keras.Model(x, y), folder / "functional.keras")


def _sequential(folder):
    model = keras.Sequential(
        [keras.Input((1000, 1), name="input_layer"), layers.Conv1D(8, 9, strides=4), layers.BatchNormalization()]
    )
    model.add(layers.ReLU())
    model.add(layers.GlobalMaxPooling1D())
    model.add(layers.Dense(3, activation="gelu", name="dense"))
    return _save_module(model, folder / "audio.keras")


def _tabular(folder):
    norm = layers.Normalization(name="norm")
    norm.adapt(np.random.default_rng(0).random((50, 6)) * 9)
    numbers, kind = keras.Input((6,), name="numbers"), keras.Input((3,), dtype="int32", name="1st kind")
    both = layers.Concatenate()([norm(numbers), layers.Flatten()(layers.Embedding(20, 4)(kind))])
    shared = layers.Dense(2, name="shared")
    hidden = layers.Dropout(0.5)(layers.Dense(16, activation="gelu")(both))
    outputs = [
        shared(hidden),
        shared(layers.Dense(16)(hidden)),
        layers.Dense(1, name="zz", activation="sigmoid")(hidden),
    ]
    return _save_module(keras.Model([numbers, kind], outputs), folder / "tabular.keras")


def _dictionary(folder):
    a, b = keras.Input((4,), name="z"), keras.Input((6,), name="a")
    both = layers.Concatenate()([layers.Dense(3)(a), layers.Dense(3)(b)])
    nested = {"zeta": layers.Dense(2)(both), "alpha": [layers.Dense(1)(both), a]}
    return _save_module(keras.Model({"z": a, "a": b}, nested), folder / "dictionary.keras")


def _subclassed(folder):
    model = zoo_layers.TwoHeads()
    model({"image": np.zeros((2, 8, 8, 3), "float32"), "bias": np.zeros((2, 5), "float32")})
    return _save_module(model, folder / "subclassed.keras")


def _recurrent(folder):
    x = keras.Input((12, 3), name="window")
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    return _save_module(keras.Model(x, layers.GRU(3, name="gru")(y)), folder / "recurrent.keras")


def _masked(folder):
    tokens = keras.Input((12,), dtype="int32", name="tokens")
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Embedding(50, 8, mask_zero=True)(tokens))
    return _save_module(keras.Model(tokens, layers.GRU(3, name="gru")(y)), folder / "masked.keras")


def _any_length(folder):
    x = keras.Input((None, 3), name="steps")
    return _save_module(keras.Model(x, layers.Dense(2, name="out")(layers.LSTM(4)(x))), folder / "any_length.keras")


def _attention(folder):
    x = keras.Input((None,), dtype="int64", name="tokens")
    y = layers.Embedding(60, 16)(x)
    y = layers.LayerNormalization()(y + layers.MultiHeadAttention(2, 8)(y, y))
    return _save_module(
        keras.Model(x, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D()(y))), folder / "attention.keras"
    )


def _mixed(folder):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(8, 3), layers.BatchNormalization()])
        model.add(layers.Flatten())
        model.add(layers.Dense(4, name="out"))
        return _save_module(model, folder / "mixed.keras")
    finally:
        keras.config.set_dtype_policy("float32")


def _k2_layers():
    return [
        K.InputLayer((16, 16, 3), name="image"),
        K.DepthwiseConv2D(3),
        K.BatchNormalization(),
        K.ReLU(6.0),
        K.SeparableConv2D(6, 3),
        K.GlobalAveragePooling2D(),
        K.Dense(3, activation="softmax", name="probs"),
    ]


def _legacy_h5(folder):
    return _save_module(tf_keras.Sequential(_k2_layers()), folder / "legacy.h5")


def _legacy_keras(folder):
    return _save_module(tf_keras.Sequential(_k2_layers()), folder / "legacy.keras")


def _era_2017(folder):
    """As Keras 2.0 wrote it: a Sequential is a list of layers, no dtype, no groups, hard_sigmoid in the LSTM."""
    import h5py

    model = tf_keras.Sequential(
        [
            K.InputLayer((20, 4), name="steps"),
            K.Conv1D(8, 3, name="conv"),
            K.LSTM(6, recurrent_activation="hard_sigmoid", name="lstm"),
            K.Dense(2, name="out"),
        ]
    )
    path = _save_module(model, folder / "era_2017.h5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        old = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]
        for layer in old:
            for key in ("module", "registered_name", "build_config"):
                layer.pop(key, None)
            for key in ("dtype", "groups", "time_major", "zero_output_for_mask"):
                layer["config"].pop(key, None)
        old[0]["config"]["batch_input_shape"] = [None, 20, 4]
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": old}).encode()
        file.attrs["keras_version"] = b"2.0.8"
    return path


def _saved_model(folder):
    x = tf_keras.Input((10, 3), name="window")
    y = K.Conv1D(8, 3, activation="relu")(x)
    pooled = K.GlobalAveragePooling1D()(y)
    model = tf_keras.Model(x, [K.Dense(2, name="zeta")(pooled), K.Dense(4, name="beta")(pooled)])
    return _save_module(model, folder / "saved_model")


class _Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(tf.random.stateless_normal((4, 300), (1, 2)))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
    def named(self, x):
        label = tf.fill([tf.shape(x)[0]], "cat")
        return {"p": x @ self.weight, "q": tf.nn.softmax(x @ self.weight), "label": label}

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="in-put")])
    def __call__(self, x):
        return [x @ self.weight, x]


def _signatures(folder):
    module = _Module()
    tf.saved_model.save(module, str(folder / "signatures"), {"first": module.named, "second": module.__call__})
    return folder / "signatures"


def _four_at_once(folder):
    @tf.function(input_signature=[tf.TensorSpec((4, 8, 8), tf.float32, name="x")])
    def flatten(x):
        return {"y": tf.reshape(x, (4, 64)) * 2.0}

    tf.saved_model.save(tf.Module(), str(folder / "four_at_once"), {"serving_default": flatten})
    return folder / "four_at_once"


def _no_signature(folder):
    tf.saved_model.save(_Module(), str(folder / "no_signature"))
    return folder / "no_signature"


def _tf1(folder):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 8), name="x")
        weight = v1.get_variable("weight", (8, 40), use_resource=False)
        scores = tf.nn.softmax(tf.matmul(x, weight))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(
            session, str(folder / "tf1"), {"images": x}, {"scores": scores, "best": tf.argmax(scores, 1)}
        )
    return folder / "tf1"


def _text(folder):
    class Text(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
        def length(self, text):
            return {"length": tf.strings.length(text)}

    module = Text()
    tf.saved_model.save(module, str(folder / "text"), {"serving_default": module.length})
    return folder / "text"


def _words_inside(folder):
    """Numbers that are looked up as words, beside a table that nothing reads."""

    class Words(tf.Module):
        def __init__(self):
            super().__init__()
            pairs = tf.lookup.KeyValueTensorInitializer(["0", "1"], [5, 6], value_dtype=tf.int64)
            self.table, self.idle = tf.lookup.StaticHashTable(pairs, -1), tf.lookup.StaticHashTable(pairs, -2)

        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.int32, name="ids")])
        def serve(self, ids):
            with tf.name_scope("lookup"):
                return {"found": tf.cast(self.table.lookup(tf.strings.as_string(ids)), tf.float32)}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="word")])
        def other(self, word):
            with tf.name_scope("elsewhere"):
                return {"found": self.idle.lookup(tf.strings.lower(word)), "length": tf.strings.length(word)}

    module = Words()
    signatures = {"serving_default": module.serve, "other": module.other}
    tf.saved_model.save(module, str(folder / "words_inside"), signatures)
    return folder / "words_inside"


def _numbered(folder):
    """Numbers that are looked up as numbers."""
    ids = keras.Input((3,), dtype="int32", name="ids")
    x = layers.Embedding(8, 4)(layers.IntegerLookup(vocabulary=[4, 5, 6], name="numbering")(ids))
    return _save_module(keras.Model(ids, layers.Dense(2)(layers.Flatten()(x))), folder / "numbered.keras")


def _lambda(folder):
    x = keras.Input((8,))
    return _save_module(
        keras.Model(x, layers.Lambda(lambda t: t * 2 + 1, name="twice")(layers.Dense(3)(x))), folder / "lambda.keras"
    )


def _svd(folder):
    x = keras.Input((4, 4))
    y = layers.TimeDistributed(layers.Dense(4), name="before")(x)
    return _save_module(
        keras.Model(x, layers.Dense(1)(keras.ops.linalg.svd(y, compute_uv=False))), folder / "svd.keras"
    )


def _determinant(folder):
    x = keras.Input((4, 4))
    return _save_module(keras.Model(x, keras.ops.linalg.det(x)), folder / "determinant.keras")


def _custom(folder):
    return _save_module(
        keras.Sequential([keras.Input((4,)), zoo_layers.Scale(), layers.Dense(2)]), folder / "custom.keras"
    )


def _unbuilt(folder):
    return _save_module(keras.Sequential([layers.Dense(2)]), folder / "unbuilt.keras")


def _weights_only(folder):
    model = tf_keras.Sequential(_k2_layers())
    model.save_weights(str(folder / "weights.h5"))
    return folder / "weights.h5"


def _pairs(folder):
    """Each answer is made of two samples."""
    x = keras.Input((8,), name="x")
    y = layers.Flatten()(keras.ops.reshape(x, (-1, 2, 8)))
    return _save_module(keras.Model(x, layers.Dense(3)(y)), folder / "pairs.keras")


def _nan(folder):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.layers[0].set_weights([np.full((4, 3), np.nan), np.zeros(3)])
    return _save_module(model, folder / "nan.keras")


def lose_variables(model, out_file):
    """A .tflite that lost its weights the way they do get lost: from a concrete function of a Keras 3 model."""
    loaded_model = keras.models.load_model(model, compile=False)
    function = tf.function(lambda x: loaded_model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, *loaded_model.inputs[0].shape[1:]), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], loaded_model)
    Path(out_file).write_bytes(converter.convert())


def einsum_difference(equation):
    """An Einsum with dynamic shapes, and its replacement: how far apart."""
    from edgeship.convert.rewrites import einsum

    left, right = equation.split("->")[0].split(",")
    sizes = {label: index + 2 for index, label in enumerate(sorted(set(left + right)))}
    random = np.random.default_rng(0)
    values = [random.random([sizes[label] for label in labels], np.float32) for labels in (left, right)]
    with tf.Graph().as_default() as graph:
        places = [
            tf.compat.v1.placeholder(tf.float32, [None] * value.ndim, name=name)
            for name, value in zip("xy", values, strict=True)
        ]
        tf.identity(tf.raw_ops.Einsum(inputs=places, equation=equation, name="product"), name="out")
    definition = graph.as_graph_def()
    node = next(node for node in definition.node if node.op == "Einsum")
    replaced = einsum.replace_einsum(node, definition.node, in_function=False)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        outputs = session.run("out:0", {"x:0": values[0], "y:0": values[1]})
    expected = np.einsum(equation, *values)
    assert outputs.shape == expected.shape
    return {"replaced": replaced, "difference": float(np.abs(outputs - expected).max())}
