"""The bridge: a Keras 3 functional or Sequential model rebuilt in tf_keras, layer by layer, and its weights carried back.

TensorFlow Model Optimization works on tf_keras models only. The Keras 3 graph is walked call by call; each layer becomes
tf_keras's own layer of the same class where there is one (`bridge_native`), else it runs inside the tf_keras model as it
is (`bridge_carry`). Nested models are laid out flat, shared layers stay shared. `bridge_proof` shows that both models
compute the same before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tf_keras

from edgeship.optimize.bridge.carried import EmbeddedKeras3Layer, variables_of
from edgeship.optimize.bridge.graph import BridgeError, LayerCall, functional, named, structured, valid, walk
from edgeship.optimize.bridge.native import NoTfKerasEquivalentError, native

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

    def pairs(self) -> list[tuple[Any, Any]]:
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

    def back(self) -> None:
        """Copy all weights from the tf_keras model to the Keras 3 one."""
        for bridged in self.bridged_layers:
            for variable, weight in bridged.pairs():
                _assign(variable, weight)
            finalize(bridged.source)

    @property
    def carried(self) -> dict[str, str]:
        """The layers with weights or state that tf_keras has no equal for, and why."""
        return {
            bridged.name: bridged.why for bridged in self.bridged_layers if bridged.how == CARRIED and bridged.pairs()
        }


def bridge(model: Any, wrap: Wrap | None = None, carry: Sequence[str] = ()) -> Bridge:
    """Rebuild a built Keras 3 functional or Sequential model in tf_keras with the same weights.

    `wrap` changes the layers that go into the graph; the layers named in `carry` run as Keras 3 layers. Raises
    BridgeError naming what cannot be rebuilt, InputError for a model that is already quantized.
    """
    graph = functional(model)
    if graph is None:
        raise BridgeError(
            f"'{model.name}' is a subclassed model ({type(model).__name__}): it has no graph of layers to rebuild"
        )
    inputs = [_input(tensor) for tensor in graph.inputs]
    builder = _Builder(wrap, frozenset(carry))
    mapped = walk(graph, inputs, builder.call)
    return Bridge(
        model,
        tf_keras.Model(
            structured(graph._inputs_struct, dict(zip(map(id, graph.inputs), inputs, strict=True))),
            structured(graph._outputs_struct, mapped),
            name=valid(model.name),
        ),
        tuple(builder.bridged_layers.values()),
        mapped,
    )


class _Builder:
    """Walks graphs and makes one bridged per layer, however often it is called."""

    def __init__(self, wrap: Wrap | None, carry: frozenset[str]) -> None:
        self._wrap, self._carry = wrap, carry
        self.bridged_layers: dict[int, BridgedLayer] = {}
        self._callable: dict[int, Any] = {}
        self._names: set[str] = set()

    def call(self, visit: LayerCall) -> Any:
        """The tf_keras tensors that this call gives."""
        bridged = self._bridged(visit)
        layer = self._callable[id(visit.operation)]
        if bridged.how == NATIVE:
            return layer(*visit.args[:1], **named(bridged.layer, visit.args), **visit.kwargs)
        mode = {"training": visit.kwargs["training"]} if "training" in visit.kwargs else {}
        return layer(visit.tensors, node=visit.number, **mode)

    def _bridged(self, visit: LayerCall) -> BridgedLayer:
        key = id(visit.operation)
        if key not in self.bridged_layers:
            bridged = self._made(visit, self._unique(visit.prefix + valid(visit.operation.name)))
            self.bridged_layers[key] = bridged
            self._callable[key] = self._wrap(bridged) if self._wrap else bridged.layer
        return self.bridged_layers[key]

    def _made(self, visit: LayerCall, name: str) -> BridgedLayer:
        operation = visit.operation
        why = "its outputs differ in tf_keras" if name in self._carry else ""
        if not isinstance(operation, keras.Layer):
            why = "an operation, not a layer"
        if not why:
            try:
                layer = native(operation, name)
                layer(*visit.args[:1], **named(layer, visit.args), **visit.kwargs)  # builds it
                if _shapes(_own(operation)) == _shapes(_own(layer)):
                    return _filled(
                        BridgedLayer(name, operation, layer, NATIVE, weights=tuple(pairs_of(operation, layer)))
                    )
                why = f"tf_keras's {type(operation).__name__} has other weights"
            except (NoTfKerasEquivalentError, TypeError, ValueError) as error:
                why = str(error)
        return BridgedLayer(name, operation, EmbeddedKeras3Layer.of(operation, name), CARRIED, why)

    def _unique(self, name: str) -> str:
        number, found = 1, name
        while found in self._names:
            number, found = number + 1, f"{name}_{number}"
        self._names.add(found)
        return found


def _filled(bridged: BridgedLayer) -> BridgedLayer:
    """The bridged with the weights copied: some wrappers look at them as soon as they are put around a layer."""
    for variable, weight in bridged.pairs():
        _assign(weight, variable)
    finalize(bridged.layer)
    return bridged


def pairs_of(source: Any, layer: Any) -> list[tuple[Any, Any]]:
    """The variables of a Keras 3 layer with those of a tf_keras layer that stands for it."""
    if isinstance(layer, EmbeddedKeras3Layer):
        return list(zip(variables_of(source), layer.lent, strict=True))
    return list(zip(_own(source), _own(layer), strict=True))


def _input(tensor: Any) -> Any:
    if getattr(tensor, "sparse", False):
        raise BridgeError(f"input '{tensor.name}' is sparse, which the bridge does not carry")
    return tf_keras.Input(tensor.shape[1:], batch_size=tensor.shape[0], dtype=tensor.dtype, name=valid(tensor.name))


def _own(layer: Any) -> list[Any]:
    """The weights of a layer of either Keras, random states left out: its own, trainable ones first, then its sublayers'."""
    if isinstance(layer, keras.Layer):
        own, inner = [*layer._trainable_variables, *layer._non_trainable_variables], layer._layers
    else:
        own = [*layer._trainable_weights, *layer._non_trainable_weights]
        inner = layer._flatten_layers(recursive=False, include_self=False)
    found = {id(item): item for item in own}
    for item in inner:
        found |= {id(weight): weight for weight in _own(item)}
    return list(found.values())


def _shapes(weights: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in weights]


def _assign(target: Any, source: Any) -> None:
    dtype = target.dtype
    target.assign(np.asarray(source).astype(getattr(dtype, "as_numpy_dtype", dtype)))


def finalize(layer: Any) -> None:
    """A Normalization layer computes with values derived from its weights."""
    if hasattr(layer, "finalize_state") and layer.built:
        layer.finalize_state()
