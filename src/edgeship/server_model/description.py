"""What loading, exporting and running a server model tells."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass
from edgeship.types import TensorSpec


@dataclass(frozen=True)
class ServerModelDescription:
    """A server model: its inputs and outputs in canonical order, with None where an axis is dynamic, and what it is made of.

    `parameters` counts the numbers in its weights, `weight_elements` those that its answers depend on, `kernel_elements` those of
    them in weights of two or more axes. `loader` is 'keras', 'tf_keras' or 'saved_model', `notes` are what loading and exporting
    it noted, `layers` the names of its layers. `activations`: what each output went through last: softmax, sigmoid, none
    or unknown.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int = 0
    loader: str = ""
    notes: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    weight_elements: int = 0
    kernel_elements: int = 0
    activations: tuple[str, ...] = ()


@dataclass(frozen=True)
class PredictedSamples:
    """How many samples the server model has answered, and the names of its outputs."""

    samples: int
    outputs: tuple[str, ...]
