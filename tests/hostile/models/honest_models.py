"""Models that look like attacks and are none: each must load without a new permission. Runs in the TensorFlow child."""

from __future__ import annotations

import builtins
import importlib
import inspect
from pathlib import Path
from typing import Any

from tests.hostile.models import attacks, keras_attacks

MODULE = "honest_layers"


def honest(name: str, folder: str, **options: Any) -> dict[str, Any]:
    """Build the model of that name and load it as edgeship does."""
    place = Path(folder)
    path = globals()[f"_{name}"](place)
    return attacks.try_model(str(path), str(place / "canary"), **options)


def _saved(folder: Path, engine: str, suffix: str, *layers: Any) -> Path:
    keras = importlib.import_module(engine)
    model = keras.Sequential([keras.layers.InputLayer((4,)), keras.layers.Dense(3), *layers])
    model.save(folder / f"model{suffix}")
    return folder / f"model{suffix}"


def _custom(name: str) -> Any:
    return getattr(importlib.import_module(MODULE), name)


def _h5_plain(folder):
    return _saved(folder, "tf_keras", ".h5", _custom("Plain")())


def _h5_registered(folder):
    return _saved(folder, "tf_keras", ".h5", _custom("Registered")())


def _h5_of_keras3(folder):
    return _saved(folder, "keras", ".h5", _custom("Plain3")(), _custom("Registered3")())


def _keras2_plain(folder):
    return _saved(folder, "tf_keras", ".keras", _custom("Plain")(), _custom("Registered")())


def _keras3_plain(folder):
    return _saved(folder, "keras", ".keras", _custom("Plain3")(), _custom("Registered3")())


def _keras3_function(folder):
    keras = importlib.import_module("keras")
    return _saved(folder, "keras", ".keras", keras.layers.Dense(2, activation=_custom("squared")))


def _keras3_imported_operation(folder):
    """An operation as an activation, which Keras writes and cannot find again by itself."""
    keras = importlib.import_module("keras")
    return _saved(folder, "keras", ".keras", keras.layers.Dense(2, activation=keras.ops.sin))


def _h5_lambda_of_a_function(folder):
    keras = importlib.import_module("tf_keras")
    path = _saved(folder, "tf_keras", ".h5", keras.layers.Lambda(lambda x: x, name="act"))
    inner = keras_attacks._lambda(folder, "tripled", function_type="function", module=MODULE)
    return keras_attacks._edited(path, keras_attacks._replace("act", "Lambda", inner))


def _imported(folder: Path, name: str) -> Path:
    """No honest one: it names what the user's module only imports."""
    function = {"module": MODULE, "class_name": "function", "config": name, "registered_name": name}
    return keras_attacks._edited(
        keras_attacks._saved(folder, "tf_keras"), keras_attacks._set("act", "activation", function)
    )


def _rmtree(folder):
    return _imported(folder, "rmtree")


def _get_file(folder):
    return _imported(folder, "get_file")


def _functions(folder: Path, suffix: str) -> Path:
    """TensorFlow's functions on tf_keras tensors, which become layers of their own."""
    import tensorflow as tf
    import tf_keras

    x = tf_keras.Input((4,), name="x")
    y = tf.nn.relu6(x * 2.0 + 1.0)[:, 1:3]
    y = tf.concat([y, tf.reduce_mean(x, axis=1, keepdims=True), tf.math.sigmoid(x)], axis=-1)
    y = tf.reshape(tf.expand_dims(tf.cast(y, tf.float32), 1), (-1, 7))
    tf_keras.Model(x, tf_keras.layers.Dense(2)(y)).save(folder / f"model{suffix}")
    return folder / f"model{suffix}"


def _h5_functions(folder):
    return _functions(folder, ".h5")


def _keras2_functions(folder):
    return _functions(folder, ".keras")


def _keras3_operations(folder):
    import keras

    x = keras.Input((4, 4), name="x")
    y = keras.ops.relu(x[:, 1:3] * 2.0 + keras.ops.mean(x, axis=1, keepdims=True))
    y = keras.ops.concatenate([y, keras.ops.exp(y)], axis=-1)
    keras.Model(x, keras.layers.Dense(2)(keras.ops.reshape(y, (-1, 16)))).save(folder / "model.keras")
    return folder / "model.keras"


def _keras3_compiled(folder):
    """A loss of the user's own, which loading does not need, and a nested compiled model."""
    import keras

    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="inner")
    inner.compile("adam", "mse", metrics=["mae", keras.metrics.AUC()])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), inner])
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10)), loss=_custom("squared"))
    model.save(folder / "model.keras")
    return folder / "model.keras"


def _keras3_beside_its_layers(folder):
    """What Keras writes and has no public name for: InceptionResNetV2's layer, FeatureSpace's, a quantizer's operation."""
    import keras
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    space = keras.utils.FeatureSpace({"a": "float", "b": "float"}, output_mode="concat")
    space.adapt(_dataset({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    x = space.get_encoded_features()
    y = keras.quantizers.fake_quant_with_min_max_vars(CustomScaleLayer(0.5)([x, x]), -1.0, 1.0)
    keras.Model(space.get_inputs(), y).save(folder / "model.keras")
    return folder / "model.keras"


def _dataset(columns: dict[str, list[float]]) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(columns).batch(2)


def _keras3_optimizers(folder):
    import keras
    import numpy as np

    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="inner")
    inner.compile(keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(keras.optimizers.SGD())), "mse")
    inner.fit(np.zeros((2, 3)), np.zeros((2, 2)), verbose=0)
    return _saved(folder, "keras", ".keras", inner)


def _keras3_vocabulary(folder):
    import keras

    x = keras.Input((4,), dtype="int64", name="x")
    keras.Model(x, keras.layers.IntegerLookup(vocabulary=[3, 5, 8], output_mode="multi_hot")(x)).save(
        folder / "model.keras"
    )
    return folder / "model.keras"


def _names_of_any_characters(folder):
    """Names that TensorFlow takes for no scope."""
    import keras

    names = [f"{start}\\b \x07\n\N{WOMAN}\u200d\N{PERSONAL COMPUTER}" for start in "xyz"]
    x = keras.Input((4,), name=names[0])
    keras.Model(x, keras.layers.Dense(2, name=names[1])(x), name=names[2]).save(folder / "model.keras")
    return folder / "model.keras"


def _dotted_names(folder):
    """A field of a layer's own that looks like a class."""
    import keras

    path = _saved(folder, "keras", ".keras", keras.layers.Activation("relu", name="act"))

    def edit(config: Any) -> None:
        config["labels"] = [{"class_name": "cat", "id": 1}]

    return keras_attacks._edited(path, edit)


def unknown_names() -> dict[str, list[str]]:
    """What the Keras versions in use export, and no list of ours has: `{kind: names}`."""
    import keras
    import tf_keras
    from tf_keras.src.layers import serialization

    from edgeship.server_model import known_classes

    serialization.populate_deserializable_objects()
    classes = {name for name, value in serialization.LOCAL.ALL_OBJECTS.items() if inspect.isclass(value)}
    functions: set[str] = set()
    kinds = [
        "layers",
        "models",
        "initializers",
        "regularizers",
        "constraints",
        "losses",
        "metrics",
        "dtype_policies",
        "quantizers",
        "random",
        "optimizers",
    ]
    for library in (keras, tf_keras):
        for kind in kinds:
            module = getattr(library, kind, None)
            classes |= {name for name, value in vars(module).items() if inspect.isclass(value)} if module else set()
        for kind in ("activations", "losses", "metrics"):
            members = vars(getattr(library, kind)).items()
            functions |= {name for name, value in members if inspect.isfunction(value)}
    return {
        "classes": sorted(classes - known_classes.CLASSES),
        "functions": sorted(functions - known_classes.FUNCTIONS),
        "builtins": sorted(known_classes.FUNCTIONS & set(dir(builtins))),
        "operations": sorted(
            found.__name__
            for found in _below(keras.Operation)
            if not issubclass(found, keras.Layer)
            and not known_classes.OPERATIONS.fullmatch(found.__module__)
            and found.__name__ not in known_classes.CLASSES
        ),
    }


def _below(kind: type) -> set[type]:
    classes: set[type] = set(kind.__subclasses__())
    return classes.union(*map(_below, classes))


def application(name: str, engine: str, suffix: str, folder: str, **options: Any) -> dict[str, Any]:
    """A network of keras.applications with weights as they are drawn: saved and loaded."""
    keras = importlib.import_module(engine)
    keras.backend.clear_session()
    path = Path(folder) / f"{name}{suffix}"
    getattr(keras.applications, name)(weights=None).save(path)
    return attacks.loaded(str(path), **options)
