"""A client's tensors at the edges of the model's file, and what its outputs mean: labels, threshold, temperature."""

from __future__ import annotations

import math

from edgeship.deploy.contract.contract import ArtifactInput, ArtifactOutput, ContractOutput
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

DTYPES = ("float32", "int8", "uint8", "int16", "int32")
DECISIONS = {"sigmoid": 0.5, "none": 0.0}  # by activation: from where on the gate itself takes one score for a yes


@dataclass(frozen=True)
class Edge:
    """A tensor of the model's file: its place among inputs or outputs, its form, its quantization (`scale` 0: none)."""

    index: int
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        """Its number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ClientOutput:
    """An output; `tolerance` is absolute, after dequantization.

    Scores below `threshold` are no answer; one score with two labels is the second from there on. `temperature` is what logits
    (where `logits`), or logarithms of probabilities, are divided by before softmax; 0: none.
    """

    name: str
    edge: Edge
    tolerance: float
    labels: tuple[str, ...]
    threshold: float | None = None
    temperature: float = 0.0
    logits: bool = False

    @property
    def decides(self) -> bool:
        """Whether its best answers are other than its largest scores as they are."""
        return self.threshold is not None or self.temperature > 0


def describe_edge(tensor: ArtifactInput | ArtifactOutput, artifact: str) -> Edge:
    """The tensor with a batch of one. Raises InputError for a form that clients do not feed."""
    shape = tuple(1 if axis is None and place == 0 else axis for place, axis in enumerate(tensor.shape))
    sizes = tuple(axis for axis in shape if axis is not None)
    if len(sizes) < len(shape):
        raise InputError(
            f"{artifact}: '{tensor.tensor}' has a dynamic axis beside the batch; clients feed fixed shapes: fix it in the model"
        )
    if tensor.dtype not in DTYPES:
        raise InputError(f"{artifact}: '{tensor.tensor}' is {tensor.dtype}; clients know {', '.join(DTYPES)}")
    quantization = tensor.quantization
    return Edge(
        tensor.index,
        tensor.dtype,
        sizes,
        quantization.scale if quantization else 0.0,
        quantization.zero_point if quantization else 0,
    )


def _tolerance(output: ArtifactOutput, artifact: str) -> float:
    if output.tolerance is None:
        raise InputError(
            f"{artifact}: has no measured tolerance, as no runtime ran it when it was shipped; see: edgeship runtimes"
        )
    return output.tolerance


def describe_output(item: ContractOutput, place: ArtifactOutput, artifact: str) -> ClientOutput:
    """The output of an artifact.

    Raises InputError where it was not run, and where one score has two labels and nobody knows from where on it is the second.
    """
    edge, labels, threshold = describe_edge(place, artifact), item.labels or (), item.threshold
    if threshold is None and (edge.size, len(labels)) == (1, 2):
        if item.activation not in DECISIONS:
            raise InputError(
                f"'{item.name}' is one score for two labels, and from where on it is '{printable(labels[1])}' is not known: "
                f"state threshold under [output.{item.name}] of edgeship.toml"
            )
        threshold = DECISIONS[item.activation]
    return ClientOutput(
        item.name,
        edge,
        _tolerance(place, artifact),
        labels,
        threshold,
        temperature=place.temperature or 0.0,
        logits=item.activation != "softmax",
    )
