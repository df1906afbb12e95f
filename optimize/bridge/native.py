"""The tf_keras layer that a Keras 3 layer stands for, built from its cleaned config.

Keras 3 writes configs that tf_keras cannot read: dtype policies and initializers as objects, arguments it never had,
activations under names that mean something else there (Keras 2's `hard_sigmoid` is another function).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import keras
import tf_keras

from edgeship.errors import InputError

# Computes the same under the same name in both; any other activation is passed as Keras 3's own function.
SAME_ACTIVATIONS = frozenset(
    {"linear", "relu", "softmax", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign"}
    | {"silu", "swish", "gelu", "exponential", "mish"}
)
# Keras 3's argument -> tf_keras's, where only the name differs.
RENAMED = {"LeakyReLU": {"negative_slope": "alpha"}}
BASE_ARGUMENTS = ("name", "trainable", "dtype")


class NoTfKerasEquivalentError(Exception):
    """tf_keras has no layer that this one could become; the message says what is missing."""


def build_tf_keras_layer(layer: Any, name: str) -> Any:
    """A new tf_keras layer of the same class and settings, not built. Raises NoTfKerasEquivalentError where there is none."""
    kind = type(layer)
    equal = getattr(tf_keras.layers, kind.__name__, None)
    if (
        not kind.__module__.startswith("keras.")
        or equal is None
        or getattr(keras.layers, kind.__name__, None) is not kind
    ):
        raise NoTfKerasEquivalentError(f"tf_keras has no layer {kind.__name__}")
    try:
        config = clean_config(layer.get_config(), kind.__name__, equal)
        return equal.from_config({**config, "name": name})
    except (TypeError, ValueError, AttributeError, KeyError, NotImplementedError) as error:
        raise NoTfKerasEquivalentError(f"tf_keras's {kind.__name__} does not take its settings ({error})") from error


def clean_config(config: Mapping[str, Any], kind: str, equal: Any) -> dict[str, Any]:
    """A Keras 3 layer's config with what tf_keras's class takes. Raises NoTfKerasEquivalentError for a setting it lacks."""
    arguments = _accepted_arguments(equal)
    settings: dict[str, Any] = {}
    for key, value in config.items():
        if key.endswith("_initializer") or key in ("build_config", "optional", "quantization_config"):
            continue  # weights are copied, so how they began does not matter
        target = RENAMED.get(kind, {}).get(key, key)
        if key == "dtype":
            settings[key] = dtype_name(value)
        elif target in arguments:
            settings[target] = _convert_setting(key, value)
        elif not _has_no_effect(equal, key, value):
            raise NoTfKerasEquivalentError(f"tf_keras's {kind} knows no {key} = {value!r}")
    return settings


def dtype_name(policy: Any) -> str:
    """The name of a dtype policy. Raises InputError for a quantized one."""
    config = policy.get("config", {}) if isinstance(policy, Mapping) else {}
    name = str(config.get("name", policy if isinstance(policy, str) else "float32"))
    if "source_name" in config or "_from_" in name:
        raise InputError(f"the model is already quantized (a layer computes in '{name}'): give the float model instead")
    return name


def _accepted_arguments(kind: Any) -> set[str]:
    """The names that the class and the bases it passes keywords on to take."""
    names = set(BASE_ARGUMENTS)
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        names |= {item.name for item in parameters if item.kind is not item.VAR_KEYWORD}
        if base is tf_keras.layers.Layer or not any(item.kind is item.VAR_KEYWORD for item in parameters):
            break
    return names


def _has_no_effect(equal: Any, key: str, value: Any) -> bool:
    """Whether a setting that tf_keras lacks changes nothing: absent, off, or what tf_keras always does."""
    defaults = {"data_format": "channels_last", "use_cudnn": "auto", "flash_attention": None, "lora_alpha": value}
    return value in (None, False, {}, []) or defaults.get(key, object()) == value or key == "seed"


def _convert_setting(key: str, value: Any) -> Any:
    if key.endswith("activation"):
        return convert_activation(value)
    if isinstance(value, Mapping) and {"class_name", "config"} <= value.keys():
        inner = str(value["class_name"])
        equal = getattr(tf_keras.layers, inner, None)
        if equal is None or str(value.get("module", "")).partition(".")[0] != "keras":
            return {"class_name": inner, "config": value["config"]}
        return {"class_name": inner, "config": clean_config(value["config"], inner, equal)}
    return [_convert_setting("", item) for item in value] if isinstance(value, list) else value


def convert_activation(value: Any) -> Any:
    """An activation as tf_keras takes it: its name where both mean the same, else Keras 3's function, registered there."""
    if value is None or (isinstance(value, str) and value in SAME_ACTIVATIONS):
        return value
    function = keras.activations.get(value)
    name = getattr(function, "__name__", "")
    if name in SAME_ACTIVATIONS:
        return name
    if not inspect.isfunction(function) or not re.fullmatch(r"[a-z]\w*", name):
        raise NoTfKerasEquivalentError(f"activation {value!r}")
    key = f"keras3_{name}"
    custom_objects = tf_keras.utils.get_custom_objects()
    if key not in custom_objects:

        def call_function(x: Any) -> Any:
            return function(x)

        call_function.__name__ = key
        custom_objects[key] = call_function
    return custom_objects[key]
