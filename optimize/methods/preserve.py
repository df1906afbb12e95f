"""Zeros and shared values that earlier steps made stay while the model is trained on.

After each step every tensor is put back on its pattern: zeros to zero, and the values that shared one number to their mean
(the gradient of a shared value is then the mean of its members', as in cluster-preserving training). TFMOT's own schemes
for this (PQAT, CQAT, PCQAT) know Conv2D and Dense only, and keep kernels in variables of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
MOST = 256  # more different values than that were not made by clustering


class Pattern:
    """Which values of a tensor are zero and, where `clusters`, which are the same number."""

    def __init__(self, reference: Array, *, clusters: bool) -> None:
        values, members = np.unique(reference, return_inverse=True)
        self._zero = reference == 0
        self._members = members.reshape(-1) if clusters and len(values) <= MOST else None
        self._counts = np.bincount(self._members) if self._members is not None else None

    def apply(self, tensor: Array) -> Array:
        """The nearest tensor (least squares) with this pattern."""
        if self._members is not None and self._counts is not None:
            means = np.bincount(self._members, weights=tensor.reshape(-1).astype(np.float64)) / self._counts
            tensor = means[self._members].reshape(tensor.shape).astype(tensor.dtype)
        return np.where(self._zero, tensor.dtype.type(0), tensor)


def read_patterns(variables: Sequence[Any], *, clusters: bool) -> dict[int, Pattern]:
    """The patterns that Keras 3 variables have now, by their id."""
    return {id(variable): Pattern(np.asarray(variable), clusters=clusters) for variable in variables}


def callback(api: Any, patterns: Mapping[int, Pattern], pairs: Sequence[tuple[Any, Any]]) -> Any:
    """A callback of either Keras: `pairs` are the Keras 3 variables with the weights that are trained in their place."""
    weights = [(weight, patterns[id(source)]) for source, weight in pairs if id(source) in patterns]

    class Preserve(api.callbacks.Callback):  # type: ignore[misc,name-defined]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            for weight, pattern in weights:
                weight.assign(pattern.apply(np.asarray(weight)))

    return Preserve()
