"""The float models of the quantization tests, as .tflite and .onnx, built by TensorFlow in a child: `build(folder)`.

photo     image -> probs                conv, batch norm, depthwise conv, pooling, dense
table     features -> price             dense only
pair      photo, meta -> kind, weight   two inputs, two outputs, a shape computed from a dynamic batch
motion    window -> act                 Conv1D and an unrolled LSTM
length    window -> act                 a time axis of any length
words     ids (int32) -> logits, positive   embedding of integers; an integer output
leaky     image -> score                LeakyReLU and a global maximum, which only edgeship brings to int8
bend      features -> score             PReLU, which stays float
wide      features -> score        300 raw features, means far above deviations, units that no float16 can divide by
four      features -> price             a batch axis fixed at 4
raw       features -> kind              features of very different scales, into a Normalization
dim       image -> kind                 values from 0 to 255, into a Rescaling and a Normalization
share     features -> score             divided by their sum, which may be next to zero
reciprocal features -> score            one divided by values that may be next to zero
softsign  features -> score             divided by what lies between 1 and 2
dead      image -> score                channels without weights, which have biases all the same
faint     image -> score                values of a billionth behind ReLU6
two-ways  .tflite with two signatures over the same input
branch    .tflite that goes one of two ways by what is in its data
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

RAW_SCALES = (0.02, 1.0, 5.0, 40.0, 900.0, 60000.0)
NAMES = (
    *("photo", "table", "pair", "motion", "length", "words", "leaky", "bend", "four", "raw", "dim", "wide"),
    *("share", "reciprocal", "softsign", "dead", "faint"),
)


def build(folder: str) -> None:
    """Write all models into `folder` (called through FunctionProcess)."""
    import keras

    root = Path(folder)
    keras.utils.set_random_seed(11)
    for name in NAMES:
        inputs, outputs = globals()[f"_{name}"](keras)
        model = keras.Model(inputs, outputs)
        model.export(root / name, verbose=False)
        _tflite(root / name, root / f"{name}.tflite")
        _onnx(root / name, root / f"{name}.onnx")
    for name in ("photo", "table", "pair"):
        _mlir_int8(root / name, root / f"{name}.npz", root / f"{name}-mlir.tflite")
    _two_ways(root)
    _branch(root)


def imported() -> list[str]:
    """The modules that this process has imported."""
    return sorted(sys.modules)


def _mlir_int8(saved_model: Path, data: Path, out: Path) -> None:
    """The int8 file that TensorFlow's own converter makes of the same model and data, to compare with."""
    import numpy as np
    import tensorflow as tf

    with np.load(data) as arrays:
        samples = {name: arrays[name] for name in arrays.files}
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    count = len(next(iter(samples.values())))
    converter.representative_dataset = lambda: (
        {name: array[index : index + 1] for name, array in samples.items()} for index in range(count)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    out.write_bytes(converter.convert())


def _photo(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    image = keras.Input((20, 20, 3), name="image")
    x = layers.Conv2D(16, 3, activation="relu")(image)
    x = layers.MaxPooling2D()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, activation="relu6")(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(32, 1)(x))
    return image, {"probs": layers.Dense(10, activation="softmax")(x)}


def _table(keras: Any) -> tuple[Any, Any]:
    features = keras.Input((12,), name="features")
    x = keras.layers.Dense(64, activation="relu")(features)
    return features, {"price": keras.layers.Dense(3)(keras.layers.Dense(64, activation="relu")(x))}


def _pair(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    photo, meta = keras.Input((16, 16, 3), name="photo"), keras.Input((5,), name="meta")
    x = layers.Flatten()(layers.Conv2D(8, 3, strides=2, activation="relu")(photo))
    x = layers.Concatenate()([x, layers.Dense(8, activation="relu")(meta)])
    return [photo, meta], {"weight": layers.Dense(2)(x), "kind": layers.Dense(4, activation="softmax")(x)}


def _motion(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    window = keras.Input((10, 6), name="window")
    x = layers.LSTM(12, unroll=True)(layers.Conv1D(16, 3, activation="relu")(window))
    return window, {"act": layers.Dense(3, activation="softmax")(x)}


def _length(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    window = keras.Input((None, 6), name="window")
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(16, 5, activation="relu")(window))
    return window, {"act": layers.Dense(3)(x)}


def _words(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    ids = keras.Input((10,), dtype="int32", name="ids")
    logits = layers.Dense(4)(layers.GlobalAveragePooling1D()(layers.Embedding(50, 16)(ids)))
    return ids, {"logits": logits, "positive": keras.ops.cast(logits > 0, "int32")}


def _leaky(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.LeakyReLU()(layers.Conv2D(8, 3)(image))
    x = layers.GlobalMaxPooling2D()(layers.LeakyReLU()(layers.Conv2D(16, 3)(x)))
    return image, {"score": layers.Dense(2)(x)}


def _bend(keras: Any) -> tuple[Any, Any]:
    features = keras.Input((12,), name="features")
    x = keras.layers.PReLU(alpha_initializer="random_normal")(keras.layers.Dense(32)(features))
    return features, {"score": keras.layers.Dense(2)(x)}


def _four(keras: Any) -> tuple[Any, Any]:
    features = keras.Input(batch_shape=(4, 12), name="features")
    return features, {"price": keras.layers.Dense(3)(keras.layers.Dense(16, activation="relu")(features))}


def _raw(keras: Any) -> tuple[Any, Any]:
    import numpy as np

    features = keras.Input((6,), name="features")
    scales = np.array(RAW_SCALES, np.float32)
    x = keras.layers.Dense(32, activation="relu")(
        (features - scales) / scales
    )  # tf2onnx takes a layer's own for inputs
    return features, {"kind": keras.layers.Dense(3)(keras.layers.Dense(32, activation="relu")(x))}


def _dim(keras: Any) -> tuple[Any, Any]:
    import numpy as np

    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = (x - np.array([0.4, 0.5, 0.6], np.float32)) / np.array([0.22, 0.24, 0.26], np.float32)
    x = layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(x))
    return image, {"kind": layers.Dense(3)(x)}


def _divided(keras: Any, name: str, divide: Callable[[Any], Any]) -> tuple[Any, Any]:
    class Divide(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return divide(inputs)

    features = keras.Input((12,), name="features")
    x = keras.layers.Dense(8, activation="sigmoid", name="hidden")(features)
    return features, {"score": keras.layers.Dense(2, name="score")(Divide(name=name)(x))}


def _share(keras: Any) -> tuple[Any, Any]:
    return _divided(keras, "share", lambda x: x / (keras.ops.sum(x, -1, keepdims=True) - 1.5))


def _reciprocal(keras: Any) -> tuple[Any, Any]:
    return _divided(keras, "reciprocal", lambda x: 1.0 / (x + 0.01))


def _softsign(keras: Any) -> tuple[Any, Any]:
    return _divided(keras, "softsign", lambda x: x / (1.0 + keras.ops.abs(x)))


def _dead(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    weighted = [layers.Conv2D(6, 3, activation="relu"), layers.DepthwiseConv2D(3), layers.Dense(4), layers.Dense(2)]
    x = layers.GlobalAveragePooling2D()(weighted[1](weighted[0](image)))
    outputs = weighted[3](weighted[2](x))
    for layer in weighted:
        kernel, bias = layer.get_weights()
        kernel.reshape(-1, bias.size)[:, ::2] = 0
        layer.set_weights([kernel, bias + (1.0, -0.5, 0.25, 2.0, 0.7, 1.5)[: bias.size]])
    return image, {"score": outputs}


def _faint(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.ReLU(6.0)(layers.Conv2D(4, 3, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-10))(image))
    x = layers.GlobalAveragePooling2D()(layers.ReLU(6.0)(layers.DepthwiseConv2D(3)(x)))
    return image, {"score": layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(stddev=1e10))(x)}


def _wide(keras: Any) -> tuple[Any, Any]:
    import numpy as np

    units = (10.0 ** np.linspace(-6, 1, 300)).astype(np.float32)
    features = keras.Input((300,), name="features")
    x = keras.layers.Dense(16, activation="relu")((features - 50 * units) / units)
    return features, {"score": keras.layers.Dense(3)(x)}


def _two_ways(root: Path) -> None:
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = tf.Variable(tf.random.normal((12, 8), seed=1))
            self.second = tf.Variable(tf.random.normal((8, 2), seed=2))

        @tf.function(input_signature=[tf.TensorSpec((None, 12), tf.float32, "features")])
        def encode(self, features: Any) -> Any:
            return {"code": tf.nn.relu(features @ self.first)}

        @tf.function(input_signature=[tf.TensorSpec((None, 12), tf.float32, "features")])
        def score(self, features: Any) -> Any:
            return {"score": tf.nn.relu(features @ self.first) @ self.second}

    module = Module()
    signatures = {"encode": module.encode, "score": module.score}
    tf.saved_model.save(module, str(root / "two-ways"), signatures=signatures)
    _tflite(root / "two-ways", root / "two-ways.tflite")


def _branch(root: Path) -> None:
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = tf.Variable(tf.random.normal((12, 8), seed=1))

        @tf.function(input_signature=[tf.TensorSpec((None, 12), tf.float32, "features")])
        def serve(self, features: Any) -> Any:
            product = features @ self.first
            return {
                "out": tf.cond(
                    tf.reduce_sum(product) > 0, lambda: tf.nn.relu(product) * 2, lambda: tf.reverse(product, [1])
                )
            }

    module = Module()
    tf.saved_model.save(module, str(root / "branch"), signatures={"serving_default": module.serve})
    _tflite(root / "branch", root / "branch.tflite")


def _tflite(saved_model: Path, out: Path) -> None:
    import tensorflow as tf

    out.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved_model)).convert())


def _onnx(saved_model: Path, out: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    module = tf.saved_model.load(str(saved_model))  # holds the variables while `serve` is used
    serve = module.signatures["serving_default"]
    specs = serve.structured_input_signature[1]
    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()]

    def call(*tensors: Any) -> Any:
        return serve(**dict(zip(specs, tensors, strict=True)))

    proto, _ = tf2onnx.convert.from_function(tf.function(call), signature, opset=17)
    # tf2onnx numbers the outputs in the order of the sorted names; give them their own names back.
    output_names = dict(zip([item.name for item in proto.graph.output], sorted(serve.structured_outputs), strict=True))
    for node in proto.graph.node:
        node.output[:] = [output_names.get(name, name) for name in node.output]
        node.input[:] = [output_names.get(name, name) for name in node.input]
    for item in proto.graph.output:
        item.name = output_names[item.name]
    out.write_bytes(proto.SerializeToString())
