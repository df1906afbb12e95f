"""Quantization-aware training with TFMOT: the model learns with its weights and activations rounded to 8 bits.

The trained weights go back to the Keras 3 model; when an artifact is made, they are quantized with per-channel scales as
they were here, and the ranges of activations are calibrated on representative data as for any other model. Batch
normalization is trained along: with one scale per channel, folding it in changes a kernel and its scale alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgeship.errors import InputError
from edgeship.optimize.bridge.bridge import NATIVE, Bridge, BridgedLayer, finalize_layer, pairs_of
from edgeship.optimize.bridge.carried import EmbeddedKeras3Layer
from edgeship.optimize.bridge.graph import BridgeError
from edgeship.optimize.bridge.proof import bridge_with_proof
from edgeship.optimize.methods import preserve
from edgeship.optimize.receipt import QatReceipt
from edgeship.optimize.training import loop
from edgeship.optimize.training.selection import select_tensors
from edgeship.optimize.training.trainable import TrainableModel
from edgeship.recipes.training import QatRecipe

PREFIX = "quant_"
RATE = 0.1  # of the learning rate: fake quantization only nudges weights that are trained already
UNSUPPORTED = re.compile(r"Layer (\S+?):<class")
# TFMOT has no scheme for these; their kernels are quantized as those of Conv2D (qat_kernels).
KERNEL_ONLY = ("Conv1D", "Conv3D")
ACTIVATIONS = ("linear", "relu", "softmax", "sigmoid", "tanh", "swish", "silu", "gelu")


def train(
    trainable: TrainableModel, recipe: QatRecipe, task: loop.TrainingTask, patterns: Mapping[int, preserve.Pattern]
) -> QatReceipt:
    """Train the model in place; `patterns` are patterns of its variables that stay. Returns what the receipt says.

    Raises InputError where the model cannot be rebuilt in tf_keras, or where TFMOT knows none of its layers.
    """
    import tf_keras

    layer_names = (
        {item.layer for item in select_tensors(trainable.model, recipe.layers, "quantized")} if recipe.layers else None
    )
    float_layers: dict[str, str] = {}
    try:
        bridge, model = _build_quantized_model(trainable, layer_names, float_layers, task)
    except BridgeError as error:
        raise InputError(
            f"quantization-aware training needs a model that can be rebuilt in tf_keras: {error}"
        ) from error
    pairs = [pair for bridged_layer in bridge.bridged_layers for pair in _trained_pairs(bridged_layer, model)]
    history = loop.fit(
        model, tf_keras, task, callbacks=[preserve.callback(tf_keras, patterns, pairs)] if patterns else [], rate=RATE
    )
    for variable, weight in pairs:
        variable.assign(weight.numpy())
    with_weights = [
        bridged_layer.name
        for bridged_layer in bridge.bridged_layers
        if bridged_layer.name not in float_layers and bridged_layer.weight_pairs()
    ]
    return QatReceipt(engine="tfmot", quantized=tuple(with_weights), left_in_float=float_layers, training=history)


def _build_quantized_model(
    trainable: TrainableModel, layer_names: set[str] | None, float_layers: dict[str, str], task: loop.TrainingTask
) -> tuple[Bridge, Any]:
    """A bridge and TFMOT's model of it with fake quantization; `float_layers` receives those that it does not take, and why."""
    from tensorflow_model_optimization.python.core.quantization.keras import quantize

    from edgeship.optimize.methods.qat_kernels import KernelConfig

    while True:
        bridge, _ = bridge_with_proof(
            trainable.model, lambda bridged_layer: _annotate_layer(bridged_layer, layer_names, float_layers)
        )
        trainer = trainable.bridged_trainer(bridge, task.outputs)
        if not any(type(layer).__name__ == "QuantizeAnnotate" for layer in trainer.layers):
            raise InputError("quantization-aware training: TFMOT knows none of this model's layers")
        try:
            with quantize.quantize_scope({"Carried": EmbeddedKeras3Layer, "KernelConfig": KernelConfig}):
                model = quantize.quantize_apply(trainer, quantized_layer_name_prefix=PREFIX)
            for layer in model.layers:
                finalize_layer(layer)  # TFMOT copies weights, not what a layer derives from them
            return bridge, model
        except (RuntimeError, ValueError) as error:
            # Some layers are known to TFMOT only in a place that it recognizes: it names the first that it does not.
            match = UNSUPPORTED.search(str(error))
            if not match or match[1] in float_layers:
                raise InputError(f"quantization-aware training: TFMOT cannot take this model ({error})") from error
            float_layers[match[1]] = "TFMOT does not quantize it in this place"


def _annotate_layer(bridged_layer: BridgedLayer, layer_names: set[str] | None, float_layers: dict[str, str]) -> Any:
    """The layer marked for quantization where TFMOT knows it; otherwise as it is, with the reason in `float_layers`."""
    from tensorflow_model_optimization.python.core.quantization.keras import quantize
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_registry

    from edgeship.optimize.methods.qat_kernels import KernelConfig

    if bridged_layer.name in float_layers:
        return bridged_layer.layer
    weighty = bool(getattr(bridged_layer.source, "weights", None))
    if (
        layer_names is not None
        and weighty
        and bridged_layer.name not in layer_names
        and type(bridged_layer.source).__name__ != "BatchNormalization"
    ):
        float_layers[bridged_layer.name] = "no pattern asks for it"
        return bridged_layer.layer
    registry = default_8bit_quantize_registry.Default8BitQuantizeRegistry()
    kind = type(bridged_layer.source).__name__
    activation = getattr(bridged_layer.layer, "activation", None)
    name = getattr(activation, "__name__", "linear")
    if bridged_layer.how == NATIVE and kind in KERNEL_ONLY:
        return quantize.quantize_annotate_layer(bridged_layer.layer, KernelConfig())
    if bridged_layer.how != NATIVE or not (registry.supports(bridged_layer.layer) or kind == "BatchNormalization"):
        float_layers[bridged_layer.name] = f"TFMOT does not know {kind}"
    elif activation is not None and name not in ACTIVATIONS:
        float_layers[bridged_layer.name] = f"TFMOT does not know the activation {name.removeprefix('keras3_')}"
    else:
        return quantize.quantize_annotate_layer(bridged_layer.layer)
    return bridged_layer.layer


def _trained_pairs(bridged_layer: BridgedLayer, model: Any) -> list[tuple[Any, Any]]:
    """The Keras 3 variables of a layer with the weights that were trained in their place."""
    names = {layer.name: layer for layer in model.layers}
    if bridged_layer.name in names:
        return pairs_of(bridged_layer.source, names[bridged_layer.name])
    wrapper = names.get(PREFIX + bridged_layer.name)
    if wrapper is None:
        return []  # on the way to an output without labels
    weights = {weight.name.rpartition("/")[2].partition(":")[0]: weight for weight in wrapper.weights}
    return [(variable, weights[variable.name]) for variable in bridged_layer.source.weights]
