"""A Keras 3 operation or layer that runs, as it is, inside a tf_keras model.

What tf_keras has no equal for (`keras.ops` in a functional graph, `LayerScale`, `rms_scaling`, a user's own layer) still
computes on TensorFlow tensors when Keras 3's backend is TensorFlow. The tf_keras layer here owns tf_keras weights and
lends them to the Keras 3 layer for each call (`stateless_call`), so gradients, optimizers and pruning wrappers of
tf_keras see ordinary weights.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

# The operations that carried layers compute, by key: a layer's config holds the key, so that tf_keras can rebuild the
# layer within this process (TFMOT does that). They are never written to a file.
_OPERATIONS: list[Any] = []


class EmbeddedKeras3Layer(tf_keras.layers.Layer):  # type: ignore[misc]
    """Computes `operation` on flat lists of tensors; `node` says as which of its calls in the Keras 3 graph."""

    def __init__(self, key: int, **options: Any) -> None:
        super().__init__(**options)
        self._key = key
        self.operation = _OPERATIONS[key]
        self.supports_masking = True
        self.lent_weights: list[Any] = []  # the weights, in the order of `variables_of(operation)`

    @classmethod
    def from_operation(cls, operation: Any, name: str) -> EmbeddedKeras3Layer:
        """A layer for that operation. Keeps it alive as long as the process."""
        _OPERATIONS.append(operation)
        trainable = bool(getattr(operation, "trainable", True))
        return cls(len(_OPERATIONS) - 1, name=name, trainable=trainable, dtype="float32")

    def build(self, shapes: Any) -> None:
        """Make one tf_keras weight per variable of the Keras 3 layer, with its value."""
        for index, variable in enumerate(variables_of(self.operation)):
            weight = self.add_weight(
                name=f"{index}_{variable.name}",
                shape=tuple(variable.shape),
                dtype=variable.dtype,
                trainable=any(variable is item for item in self.operation.trainable_variables),
                initializer="zeros",
            )
            weight.assign(np.asarray(variable))
            self.lent_weights.append(weight)
        super().build(shapes)

    def call(self, tensors: Any, training: Any = None, node: int = 0) -> Any:
        """The Keras 3 operation on these tensors, put where the graph's call number `node` has its symbolic ones."""
        arguments = self.operation._inbound_nodes[node].arguments
        flat = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        values_by_id = {id(symbolic): value for symbolic, value in zip(arguments.keras_tensors, flat, strict=True)}
        args, kwargs = arguments.fill_in(values_by_id)
        if not isinstance(self.operation, keras.Layer):
            return self.operation(*args, **kwargs)
        if self.operation._call_has_training_arg and kwargs.get("training") is None and training is not None:
            kwargs["training"] = training
        return self._call_stateless(args, kwargs)

    def _call_stateless(self, args: Any, kwargs: Any) -> Any:
        layer = self.operation
        weight_of = {
            id(variable): weight for variable, weight in zip(variables_of(layer), self.lent_weights, strict=True)
        }
        trainable = [weight_of[id(variable)] for variable in layer.trainable_variables]
        state = [weight_of[id(variable)] for variable in layer.non_trainable_variables]
        outputs, new_state, losses = layer.stateless_call(
            [tf.convert_to_tensor(value) for value in trainable],
            [tf.convert_to_tensor(value) for value in state],
            *args,
            return_losses=True,
            **kwargs,
        )
        for weight, value in zip(state, new_state, strict=True):
            weight.assign(value)
        for loss in losses:
            self.add_loss(loss)
        return outputs

    def get_config(self) -> dict[str, Any]:
        """The key under which this process holds the operation."""
        return {**super().get_config(), "key": self._key}


def variables_of(operation: Any) -> list[Any]:
    """All variables of a Keras 3 layer, random states included; none of an operation that is no layer."""
    return list(operation.variables) if isinstance(operation, keras.Layer) else []
