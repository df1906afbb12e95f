"""Which tensors of a Keras 3 model are pruned and clustered, under names that a user can write patterns for."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.optimize.bridge.graph import valid_scope_name

# Per class: the kernels that hold a layer's work. Depthwise kernels are left alone, as TFMOT does: they are small and
# every value counts. A layer of the user's own: its trainable tensors of at least two dimensions.
KERNELS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D"), ("kernel",)),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), ("kernel",)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), ("pointwise_kernel",)),
    **dict.fromkeys(("LSTMCell", "GRUCell", "SimpleRNNCell"), ("kernel", "recurrent_kernel")),
    "ConvLSTMCell": ("kernel", "recurrent_kernel"),
    "Embedding": ("embeddings",),
}


@dataclass(frozen=True)
class SelectedTensor:
    """A tensor: the name of the layer it belongs to (with the models around it), its own, and its Keras 3 variable."""

    layer: str
    tensor: str
    variable: Any

    @property
    def name(self) -> str:
        """Such as `encoder/conv1/kernel`."""
        return f"{self.layer}/{self.tensor}"


def prunable_tensors(model: Any) -> list[SelectedTensor]:
    """Every tensor that can be pruned, each variable once."""
    by_id: dict[int, SelectedTensor] = {}
    for name, layer in _named_layers(model, ""):
        for variable in _own_tensors(layer):
            by_id.setdefault(
                id(variable), SelectedTensor(name or valid_scope_name(model.name), variable.name, variable)
            )
    return list(by_id.values())


def select_tensors(model: Any, patterns: Sequence[str], what: str) -> list[SelectedTensor]:
    """The tensors of the layers that match one of the patterns; all of them where there is none.

    Raises InputError, listing the names, for a pattern that matches no layer, and where there is nothing to choose from.
    """
    every = prunable_tensors(model)
    names = list(dict.fromkeys(item.layer for item in every))
    if not every:
        raise InputError(f"no layer of this model can be {what}: none has a kernel")
    for pattern in patterns:
        if not any(_matches_pattern(name, pattern) for name in names):
            raise InputError(f"pattern '{pattern}' matches no layer that can be {what}; there are: {', '.join(names)}")
    return [
        item for item in every if not patterns or any(_matches_pattern(item.layer, pattern) for pattern in patterns)
    ]


def share_of_zeros(tensor: Any) -> float:
    """The share of zeros in a tensor."""
    array = np.asarray(tensor)
    return 1 - np.count_nonzero(array) / array.size


def _matches_pattern(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name.rpartition("/")[2], pattern)


def _named_layers(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """All layers with the names of those around them; the model itself has the empty name."""
    yield prefix.rstrip("/"), model
    for layer in model._layers:
        if isinstance(layer, keras.Layer):
            inner = (
                ""
                if type(layer).__name__ == "Functional" and layer is getattr(model, "_functional", None)
                else valid_scope_name(layer.name) + "/"
            )
            yield from _named_layers(layer, prefix + inner)


def _own_tensors(layer: Any) -> list[Any]:
    kind = type(layer)
    if kind.__module__.startswith("keras."):
        return [value for name in KERNELS.get(kind.__name__, ()) if (value := _layer_variable(layer, name)) is not None]
    return [item for item in layer._trainable_variables if len(item.shape) > 1 and np.dtype(item.dtype).kind == "f"]


def _layer_variable(layer: Any, name: str) -> Any:
    """The variable itself: `kernel` may be a property that adds LoRA matrices."""
    value = getattr(layer, f"_{name}", None)
    value = value if isinstance(value, keras.Variable) else getattr(layer, name, None)
    return value if isinstance(value, keras.Variable) else None
