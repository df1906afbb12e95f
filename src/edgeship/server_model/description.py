"""What loading a server model, or exporting it, tells of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from edgeship.types import TensorSpec


@dataclass(frozen=True)
class WeightCounts:
    """How many variables a model computes with, the numbers in all of them, and those in each kernel (of two or more axes)."""

    variables: int = 0
    elements: int = 0
    kernels: tuple[int, ...] = ()

    @classmethod
    def of(cls, variables: Iterable[Any]) -> Self:
        """The counts of TensorFlow or Keras variables."""
        shapes = [tuple(int(size) for size in variable.shape) for variable in variables]
        sizes = [int(np.prod(shape)) for shape in shapes]
        return cls(
            len(sizes), sum(sizes), tuple(size for shape, size in zip(shapes, sizes, strict=True) if len(shape) >= 2)
        )


@dataclass(frozen=True)
class ServerModelDescription:
    """A server model: its inputs and outputs in canonical order, with None where an axis is dynamic, and what it is made of.

    `parameters` counts the numbers in its weights, `loader` is 'keras', 'tf_keras' or 'saved_model', `notes` are what loading and
    exporting it noted, `layers` the names of its layers.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int = 0
    loader: str = ""
    notes: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    weights: WeightCounts = WeightCounts()
