"""The tiny models of the runtime tests, in every format, built by TensorFlow in a child process: `build(folder)`.

cnn    one image input, one softmax output
large  the same with 28x28 images and two convolutions, float32 and int8 in TFLite only
pair   two inputs (float and integer), two outputs whose names sort against their order
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

IMAGE = (8, 8, 1)
LARGE = (28, 28, 1)


def build(folder: str) -> None:
    """Write all models into `folder` (called through FunctionProcess)."""
    import keras

    root = Path(folder)
    keras.utils.set_random_seed(7)
    for name, model in {"cnn": _cnn(keras), "pair": _pair(keras)}.items():
        model.save(root / f"{name}.keras")
        model.export(root / name, verbose=False)
        _tflite(root / name, root / f"{name}.tflite")
        _one(root / name, root / f"{name}-one.tflite")
        _onnx(model, root / f"{name}.onnx")
        _tfjs(root / name, root / f"{name}-tfjs")
    _variants(keras, keras.models.load_model(root / "cnn.keras"), root)
    _cnn(keras, LARGE, (8, 16)).export(root / "large", verbose=False)
    _tflite(root / "large", root / "large.tflite")
    _int8(root / "large", root / "large-int8.tflite", LARGE, "int8")
    _expected(keras, root)


def _cnn(keras: Any, shape: tuple[int, ...] = IMAGE, filters: Sequence[int] = (8,)) -> Any:
    x = image = keras.Input(shape, name="image")
    for count in filters:
        x = keras.layers.Conv2D(count, 3, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model({"image": image}, {"probs": keras.layers.Dense(5, activation="softmax", name="probs")(x)})


def _pair(keras: Any) -> Any:
    values, ids = keras.Input((4,), name="values"), keras.Input((3,), dtype="int32", name="ids")
    x = keras.layers.Flatten()(keras.layers.Embedding(6, 4)(ids))
    x = keras.layers.Concatenate()([x, values])
    outputs = {"wide": keras.layers.Dense(7, name="wide")(x), "narrow": keras.layers.Dense(2, name="narrow")(x)}
    return keras.Model({"values": values, "ids": ids}, outputs)


def _expected(keras: Any, root: Path) -> None:
    """What Keras itself answers to seven samples: arrays named model, `inputs` or `outputs`, tensor."""
    import numpy as np

    random = np.random.default_rng(1)
    feeds = {
        "cnn": {"image": random.random((7, *IMAGE), np.float32)},
        "pair": {
            "values": random.normal(size=(7, 4)).astype(np.float32),
            "ids": random.integers(0, 6, (7, 3), np.int32),
        },
    }
    arrays: dict[str, Any] = {}
    for name, inputs in feeds.items():
        outputs = keras.models.load_model(root / f"{name}.keras")(inputs, training=False)
        arrays |= {f"{name}/inputs/{key}": value for key, value in inputs.items()}
        arrays |= {f"{name}/outputs/{key}": np.asarray(value) for key, value in outputs.items()}
    np.savez(root / "expected.npz", **arrays)


def _int8(saved_model: Path, out: Path, shape: tuple[int, ...], io: str) -> None:
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([random.random((1, *shape), np.float32)] for _ in range(50))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(io)
    out.write_bytes(converter.convert())


def _variants(keras: Any, model: Any, root: Path) -> None:
    """The int8, static-batch and signature-free files of the cnn."""
    import tensorflow as tf

    _int8(root / "cnn", root / "cnn-int8.tflite", IMAGE, "int8")
    _int8(root / "cnn", root / "cnn-int8-float-io.tflite", IMAGE, "float32")
    _int8(root / "cnn-one", root / "cnn-one-int8.tflite", IMAGE, "float32")
    static = [tf.TensorSpec((2, *IMAGE), tf.float32, name="image")]
    model.export(root / "cnn-static", input_signature=static, verbose=False)
    _tflite(root / "cnn-static", root / "cnn-static.tflite")
    _tfjs(root / "cnn-static", root / "cnn-static-tfjs")
    double = tf.function(lambda x: 2.0 * x).get_concrete_function(tf.TensorSpec((None, 3), tf.float32, "x"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([double])
    (root / "double.tflite").write_bytes(converter.convert())
    _two_signatures(root)
    _length(keras, root)
    _power(root)


def _length(keras: Any, root: Path) -> None:
    """A sequence of any length, but not of length 1: the size that stands in the file for an unknown one."""
    x = sound = keras.Input((None, 1), name="sound")
    for _ in range(2):
        x = keras.layers.Conv1D(4, 9, strides=2, activation="relu")(x)
    out = keras.layers.Dense(3, name="kind")(keras.layers.GlobalAveragePooling1D()(x))
    keras.Model({"sound": sound}, {"kind": out}).export(root / "length", verbose=False)
    _tflite(root / "length", root / "length.tflite")


def _power(root: Path) -> None:
    """A loop that runs as often as a scalar input says: control flow, and an input without batch axis."""
    import tensorflow as tf

    class Power(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, "x"), tf.TensorSpec((), tf.int32, "times")])
        def __call__(self, x: Any, times: Any) -> Any:
            done = tf.constant(0)
            while done < times:
                x, done = x * 2.0, done + 1
            return {"y": x}

    module = Power()
    tf.saved_model.save(module, str(root / "power"), signatures=module.__call__)
    _tflite(root / "power", root / "power.tflite")
    _tfjs(root / "power", root / "power-tfjs")


def _two_signatures(root: Path) -> None:
    """A file whose `serving_default` is not its first subgraph."""
    import tensorflow as tf

    class Both(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, "x")])
        def add(self, x: Any) -> Any:
            return {"y": x + 1.0}

        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, "x")])
        def times(self, x: Any) -> Any:
            return {"y": x * 10.0}

    module = Both()
    tf.saved_model.save(module, str(root / "both"), signatures={"add": module.add, "serving_default": module.times})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(root / "both"), signature_keys=["add", "serving_default"])
    (root / "both.tflite").write_bytes(converter.convert())


def _tflite(saved_model: Path, out: Path) -> None:
    import tensorflow as tf

    out.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved_model)).convert())


def _one(saved_model: Path, out: Path) -> None:
    """The same with its batch axis fixed at 1, which LiteRT.js insists on."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(saved_model))
    serve = loaded.signatures["serving_default"]
    specs = {
        name: tf.TensorSpec((1, *spec.shape[1:]), spec.dtype, name=name)
        for name, spec in serve.structured_input_signature[1].items()
    }

    @tf.function  # type: ignore[misc]
    def call(**feeds: Any) -> Any:
        return serve(**feeds)

    folder = saved_model.with_name(f"{saved_model.name}-one")
    tf.saved_model.save(loaded, str(folder), signatures=call.get_concrete_function(**specs))
    _tflite(folder, out)


def _onnx(model: Any, out: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    names = [tensor.name for tensor in model.inputs]
    signature = [tf.TensorSpec((None, *t.shape[1:]), t.dtype, name=t.name) for t in model.inputs]

    def call(*tensors: Any) -> Any:
        return model(dict(zip(names, tensors, strict=True)), training=False)

    proto, _ = tf2onnx.convert.from_function(tf.function(call, input_signature=signature), signature, opset=17)
    # tf2onnx names outputs by position in the sorted dictionary; give them their own names back.
    renamed = dict(zip([item.name for item in proto.graph.output], sorted(model.output), strict=True))
    for node in proto.graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
        node.input[:] = [renamed.get(name, name) for name in node.input]
    for item in proto.graph.output:
        item.name = renamed[item.name]
    out.write_bytes(proto.SerializeToString())


def _tfjs(saved_model: Path, out: Path) -> None:
    import tensorflow  # noqa: F401  (before the empty modules below: it probes for some of them)

    for name in ("tensorflow_decision_forests", "tensorflow_hub"):
        sys.modules.setdefault(name, types.ModuleType(name))
    jax = types.ModuleType("tensorflowjs.converters.jax_conversion")
    jax.convert_jax = None  # type: ignore[attr-defined]
    sys.modules.setdefault(jax.__name__, jax)
    from tensorflowjs.converters import convert_tf_saved_model

    convert_tf_saved_model(str(saved_model), str(out))
