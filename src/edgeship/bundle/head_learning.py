"""What a bundle says of learning on the device: the files in `learning/`, and what they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from edgeship.bundle.metric import Count, Digest
from edgeship.light_dataclass import dataclass
from edgeship.types import TensorSpec

FOLDER, FILE, SCHEMA = "learning", "learning.json", 1
Name = Annotated[str, Meta(pattern=r"^[\w.-]+$", max_length=100)]
Rate = Annotated[float, Meta(gt=0, le=1e6)]


@dataclass(frozen=True)
class LearningBase:
    """The server model without its head, float at the edges: its file in `learning/`, and its tensors by name.

    `error`: the largest difference of the whole model's output from the server model's on the goldens.
    """

    file: Name
    format: str
    variant: Name
    inputs: tuple[TensorSpec, ...]
    output: str
    error: float


@dataclass(frozen=True)
class ReplaySamples:
    """Features of data that the server model knows: `replay` of them are trained with, by `guard` others a head is judged.

    `labels`: where their targets are from, the data or the server model's answers. Stored as bytes: value * `scale` + `offset`.
    """

    source: str
    labels: Literal["data", "server model"]
    replay: Count
    guard: Count
    scale: float
    offset: float


@dataclass(frozen=True)
class HeadLearning:
    """How the model's last layer is learned anew: `learning/learning.json`, and in the manifest the same.

    `layer` reads `features` numbers a sample and gives `outputs` scores, which go through `activation`. `steps`: by format the
    file of one training step of `batch` samples; `rate` is the learning rate that suits these features. `head` has the
    shipped `weights` and `bias`; `goldens` what a step must give. `files`: the digest of each file in `learning/`.
    """

    layer: str
    output: str
    activation: Literal["softmax", "sigmoid", "linear"]
    features: Count
    outputs: Count
    batch: Count
    rate: Rate
    labels: tuple[str, ...]
    bases: tuple[LearningBase, ...]
    steps: Mapping[str, Name]
    samples: ReplaySamples
    files: Mapping[Name, Digest]
    head: Name = "head.npz"
    replay: Name = "replay.npz"
    goldens: Name = "goldens.npz"
    schema: Count = SCHEMA
