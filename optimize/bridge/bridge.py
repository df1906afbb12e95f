"""The bridge: a Keras 3 functional or Sequential model rebuilt in tf_keras, layer by layer, and its weights carried back.

TensorFlow Model Optimization works on tf_keras models only. The Keras 3 graph is walked call by call; each layer becomes
tf_keras's own layer of the same class where there is one (`native`), else it runs inside the tf_keras model as it
is (`carried`). Nested models are laid out flat, shared layers stay shared. `proof` shows that both models
compute the same before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tf_keras

from edgeship.light_dataclass import dataclass
from edgeship.optimize.bridge.carried import EmbeddedKeras3Layer, variables_of
from edgeship.optimize.bridge.graph import (
    BridgeError,
    LayerCall,
    fill_structure,
    functional_graph,
    named_arguments,
    valid_scope_name,
    walk_calls,
)
from edgeship.optimize.bridge.native import NoTfKerasEquivalentError, build_tf_keras_layer

NATIVE, CARRIED = "native", "carried"


@dataclass(frozen=True)
class BridgedLayer:
    """One layer of the bridge: its name in the flat tf_keras model, the Keras 3 layer, the tf_keras one, and how it came.

    `weights` are a native layer's variables with those that stand for them: wrappers of TFMOT put tensors in their places.
    """

    name: str
    source: Any
    layer: Any
    how: str
    why: str = ""
    weights: tuple[tuple[Any, Any], ...] = ()

    def weight_pairs(self) -> list[tuple[Any, Any]]:
        """Its Keras 3 variables with the tf_keras ones that hold the same weights."""
        return list(self.weights) if self.how == NATIVE else pairs_of(self.source, self.layer)


# Wraps a tf_keras layer on its way into the graph (a pruning wrapper, say); it may return it as it is.
Wrap = Callable[[BridgedLayer], Any]


@dataclass(frozen=True)
class Bridge:
    """A Keras 3 model and the tf_keras model that computes the same; weights can go both ways."""

    source: Any
    model: Any
    bridged_layers: tuple[BridgedLayer, ...]
    tensors: Mapping[int, Any]  # id of a symbolic tensor of the Keras 3 graph -> that of the tf_keras graph

    def copy_weights_back(self) -> None:
        """Copy all weights from the tf_keras model to the Keras 3 one."""
        for bridged_layer in self.bridged_layers:
            for variable, weight in bridged_layer.weight_pairs():
                _assign_weight(variable, weight)
            finalize_layer(bridged_layer.source)


def rebuild_in_tf_keras(model: Any, wrap: Wrap | None = None, carry: Sequence[str] = ()) -> Bridge:
    """Rebuild a built Keras 3 functional or Sequential model in tf_keras with the same weights.

    `wrap` changes the layers that go into the graph; the layers named in `carry` run as Keras 3 layers. Raises
    BridgeError naming what cannot be rebuilt, InputError for a model that is already quantized.
    """
    graph = functional_graph(model)
    if graph is None:
        raise BridgeError(
            f"'{model.name}' is a subclassed model ({type(model).__name__}): it has no graph of layers to rebuild"
        )
    inputs = [_build_input(tensor) for tensor in graph.inputs]
    builder = _Builder(wrap, frozenset(carry))
    tensors = walk_calls(graph, inputs, builder.call_layer)
    return Bridge(
        model,
        tf_keras.Model(
            fill_structure(graph._inputs_struct, dict(zip(map(id, graph.inputs), inputs, strict=True))),
            fill_structure(graph._outputs_struct, tensors),
            name=valid_scope_name(model.name),
        ),
        tuple(builder.bridged_layers.values()),
        tensors,
    )


class _Builder:
    """Walks graphs and makes one `BridgedLayer` per layer, however often it is called."""

    def __init__(self, wrap: Wrap | None, carry: frozenset[str]) -> None:
        self._wrap, self._carry = wrap, carry
        self.bridged_layers: dict[int, BridgedLayer] = {}
        self._callable: dict[int, Any] = {}
        self._names: set[str] = set()

    def call_layer(self, visit: LayerCall) -> Any:
        """The tf_keras tensors that this call gives."""
        bridged_layer = self._bridge_layer(visit)
        layer = self._callable[id(visit.operation)]
        if bridged_layer.how == NATIVE:
            return layer(*visit.args[:1], **named_arguments(bridged_layer.layer, visit.args), **visit.kwargs)
        mode = {"training": visit.kwargs["training"]} if "training" in visit.kwargs else {}
        return layer(visit.tensors, node=visit.number, **mode)

    def _bridge_layer(self, visit: LayerCall) -> BridgedLayer:
        key = id(visit.operation)
        if key not in self.bridged_layers:
            bridged_layer = self._build_layer(
                visit, self._unique_name(visit.prefix + valid_scope_name(visit.operation.name))
            )
            self.bridged_layers[key] = bridged_layer
            self._callable[key] = self._wrap(bridged_layer) if self._wrap else bridged_layer.layer
        return self.bridged_layers[key]

    def _build_layer(self, visit: LayerCall, name: str) -> BridgedLayer:
        operation = visit.operation
        why = "its outputs differ in tf_keras" if name in self._carry else ""
        if not isinstance(operation, keras.Layer):
            why = "an operation, not a layer"
        if not why:
            try:
                layer = build_tf_keras_layer(operation, name)
                layer(*visit.args[:1], **named_arguments(layer, visit.args), **visit.kwargs)  # builds it
                if _weight_shapes(_own_weights(operation)) == _weight_shapes(_own_weights(layer)):
                    return _copy_weights_in(
                        BridgedLayer(name, operation, layer, NATIVE, weights=tuple(pairs_of(operation, layer)))
                    )
                why = f"tf_keras's {type(operation).__name__} has other weights"
            except (NoTfKerasEquivalentError, TypeError, ValueError) as error:
                why = str(error)
        return BridgedLayer(name, operation, EmbeddedKeras3Layer.from_operation(operation, name), CARRIED, why)

    def _unique_name(self, name: str) -> str:
        number, unique = 1, name
        while unique in self._names:
            number, unique = number + 1, f"{name}_{number}"
        self._names.add(unique)
        return unique


def _copy_weights_in(bridged_layer: BridgedLayer) -> BridgedLayer:
    """The bridged layer with the weights copied: some wrappers look at them as soon as they are put around a layer."""
    for variable, weight in bridged_layer.weight_pairs():
        _assign_weight(weight, variable)
    finalize_layer(bridged_layer.layer)
    return bridged_layer


def pairs_of(source: Any, layer: Any) -> list[tuple[Any, Any]]:
    """The variables of a Keras 3 layer with those of a tf_keras layer that stands for it."""
    if isinstance(layer, EmbeddedKeras3Layer):
        return list(zip(variables_of(source), layer.lent_weights, strict=True))
    return list(zip(_own_weights(source), _own_weights(layer), strict=True))


def _build_input(tensor: Any) -> Any:
    if getattr(tensor, "sparse", False):
        raise BridgeError(f"input '{tensor.name}' is sparse, which the bridge does not carry")
    return tf_keras.Input(
        tensor.shape[1:], batch_size=tensor.shape[0], dtype=tensor.dtype, name=valid_scope_name(tensor.name)
    )


def _own_weights(layer: Any) -> list[Any]:
    """The weights of a layer of either Keras, random states left out: its own, trainable ones first, then its sublayers'."""
    if isinstance(layer, keras.Layer):
        own, inner = [*layer._trainable_variables, *layer._non_trainable_variables], layer._layers
    else:
        own = [*layer._trainable_weights, *layer._non_trainable_weights]
        inner = layer._flatten_layers(recursive=False, include_self=False)
    by_id = {id(item): item for item in own}
    for item in inner:
        by_id |= {id(weight): weight for weight in _own_weights(item)}
    return list(by_id.values())


def _weight_shapes(weights: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in weights]


def _assign_weight(target: Any, source: Any) -> None:
    dtype = target.dtype
    target.assign(np.asarray(source).astype(getattr(dtype, "as_numpy_dtype", dtype)))


def finalize_layer(layer: Any) -> None:
    """A Normalization layer computes with values derived from its weights."""
    if hasattr(layer, "finalize_state") and layer.built:
        layer.finalize_state()
