"""Cuts a Keras model before its last Dense layer: what gives the features, and the layer's weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import InputError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.server_model import server_model

BASE, HEAD = "base.keras", "head.npz"
ACTIVATIONS = ("linear", "sigmoid", "softmax")
WHICH = (
    "head_step learns a Dense layer on one vector per sample that is the model's last with weights, with softmax, sigmoid or "
    "no activation behind it"
)


@dataclass(frozen=True)
class HeadCut:
    """The last Dense layer of a model: its name, what its scores go through, how many features and scores it has."""

    layer: str
    activation: str
    features: int
    outputs: int


def run(
    model: str,
    out: str,
    custom_objects: str | None = None,
    signature: str | None = None,
    allow_unsafe: bool = False,
) -> HeadCut:
    """Write `base.keras` and `head.npz` (`weights` (features, outputs), `bias` (outputs,), float32) to the folder `out`.

    Raises InputError for a model without such a layer, naming the one that is there instead.
    """
    server = server_model.load(model, custom_objects=custom_objects, signature=signature, allow_unsafe=allow_unsafe)
    if server.loader != "keras":
        raise InputError(
            f"{os.path.basename(model)} is read by {server.loader}: head_step needs a model that Keras 3 wrote"
        )
    import keras

    network = server.adapter.model
    layer, features, activation = find_head(network)
    kernel = np.asarray(layer.kernel, np.float32)
    bias = np.zeros(kernel.shape[1], np.float32) if layer.bias is None else np.asarray(layer.bias, np.float32)
    try:
        base = keras.Model(network.inputs, features, name="base")
        base.save(os.fspath(Path(out) / BASE))
    except Exception as error:  # a model's own layers can fail in any way
        raise InputError(f"the part before layer '{layer.name}' cannot be saved ({brief_message(error)})") from error
    np.savez(Path(out) / HEAD, weights=kernel, bias=bias)
    return HeadCut(layer.name, activation, *map(int, kernel.shape))


def find_head(network: Any) -> tuple[Any, Any, str]:
    """The last Dense layer of a Keras 3 model, the tensor that it reads, and what its scores go through.

    Raises InputError where the last layer with weights is none.
    """
    import keras

    outputs = getattr(network, "outputs", None)
    if not outputs:
        raise InputError(f"the model is no functional or sequential one, so its layers cannot be told apart; {WHICH}")
    if len(outputs) > 1:
        raise InputError(f"the model has {len(outputs)} outputs, and head_step learns the head of one; {WHICH}")
    tensor, passed = outputs[0], list[str]()
    while True:
        layer, tensor = _step_back(tensor)
        if isinstance(layer, keras.layers.Dense):
            break
        activation = _activation_of(layer)
        if activation is None or tensor is None:
            raise InputError(f"the model's last layer is '{layer.name}', a {type(layer).__name__}; {WHICH}")
        passed.append(activation)
    steps = [name for name in (*passed, _name_activation(layer.activation)) if name != "linear"]
    if len(steps) > 1 or (steps and steps[0] not in ACTIVATIONS):
        raise InputError(f"the scores of layer '{layer.name}' go through {' and '.join(reversed(steps))}; {WHICH}")
    if len(tensor.shape) != 2 or tensor.shape[1] is None:
        shape = "x".join("?" if size is None else str(size) for size in tensor.shape)
        raise InputError(f"layer '{layer.name}' reads a tensor of shape {shape}; {WHICH}")
    if any(tensor is item for item in network.inputs):
        raise InputError(
            f"nothing is before layer '{layer.name}': the whole model is its head, and can be trained as it is"
        )
    return layer, tensor, steps[0] if steps else "linear"


def _step_back(tensor: Any) -> tuple[Any, Any]:
    """The layer that made a tensor, and the tensor that it read; None for that where it read none or several."""
    history = tensor._keras_history
    read = history.operation._inbound_nodes[history.node_index].input_tensors
    return history.operation, read[0] if len(read) == 1 else None


def _activation_of(layer: Any) -> str | None:
    """What a layer without weights does to scores, by Keras' name of it; None where that is no activation."""
    import keras

    if isinstance(layer, keras.layers.Softmax):
        return "softmax" if layer.axis == -1 else None
    if isinstance(layer, keras.layers.Activation):
        return _name_activation(layer.activation)
    return "linear" if isinstance(layer, (keras.layers.Dropout, keras.layers.Identity)) else None


def _name_activation(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
