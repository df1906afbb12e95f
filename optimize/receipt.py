"""What training a model further did, was asked for and achieved: the receipt that lies beside the model as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgeship.light_dataclass import dataclass
from edgeship.types import drop_missing, to_json


@dataclass(frozen=True)
class Epoch:
    """One epoch, counted from 1: the losses at its end, and the seconds that it took."""

    epoch: int
    loss: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True)
class TrainingHistory:
    """How training went: its epochs, the one whose weights were kept (0: those it began with), and why it ended."""

    curve: tuple[Epoch, ...] = ()
    kept: int = 0
    ended: str = "all epochs done"
    diverged: bool = False


@dataclass(frozen=True, kw_only=True)
class MethodReceipt:
    """What one method did: with which `engine`, and `why` with that one where it is not TFMOT."""

    engine: str
    why: str | None = None
    training: TrainingHistory


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers in the weights of the server model and of its student."""

    server: int
    student: int


@dataclass(frozen=True, kw_only=True)
class DistillReceipt(MethodReceipt):
    """Distillation: who the student is, and how answers and labels were weighed."""

    student: str
    parameters: ParameterCounts
    temperature: float
    weight_of_labels: float


@dataclass(frozen=True)
class ScheduleReceipt:
    """When masks were chosen anew: at steps `begin`, `begin + frequency`, ... up to `end`."""

    kind: str
    begin: int
    end: int
    frequency: int


@dataclass(frozen=True, kw_only=True)
class PruneReceipt(MethodReceipt):
    """Pruning: the share of zeros `asked` for, the `tensors` that have them, and why those `skipped` stay dense."""

    asked: float
    pattern: str
    schedule: ScheduleReceipt
    steps: int
    tensors: tuple[str, ...]
    skipped: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ClusterReceipt(MethodReceipt):
    """Clustering: at most how many values were `asked` for in each of the `tensors`, and tensors that had no more before."""

    asked: int
    tensors: tuple[str, ...]
    few_values_already: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class QatReceipt(MethodReceipt):
    """Quantization-aware training: the layers that were `quantized`, and why others were `left_in_float`."""

    quantized: tuple[str, ...]
    left_in_float: Mapping[str, str]


@dataclass(frozen=True)
class MethodReceipts:
    """What was done, in this order; None for what was not asked."""

    distill: DistillReceipt | None = None
    prune: PruneReceipt | None = None
    cluster: ClusterReceipt | None = None
    qat: QatReceipt | None = None

    def items(self) -> Iterator[tuple[str, MethodReceipt]]:
        """Those that were asked for, by name."""
        for name in ("distill", "prune", "cluster", "qat"):
            if receipt := getattr(self, name):
                yield name, receipt


@dataclass(frozen=True)
class PrunedTensor:
    """The share of zeros in a tensor of so many `values`: asked for, and achieved in the file."""

    tensor: str
    asked: float
    achieved: float
    values: int


@dataclass(frozen=True)
class ClusteredTensor:
    """The number of different values in a tensor: at most asked for, and achieved in the file."""

    tensor: str
    asked: int
    achieved: int


@dataclass(frozen=True)
class SourceModel:
    """The model that was trained further: its file's name, digest and number of parameters."""

    path: str
    digest: str
    parameters: int


@dataclass(frozen=True)
class TrainingData:
    """The data's source and the digest of what was trained on: so many samples, and others held out."""

    source: str
    digest: str
    training: int
    held_out: int


@dataclass(frozen=True)
class TrainedFile:
    """The file that was written: its name and digest."""

    path: str
    digest: str


@dataclass(frozen=True)
class FineTuneReceipt:
    """What was done: the model's file, and how the loss went on the samples that were trained on and on those held out."""

    file: TrainedFile
    loss: str
    history: TrainingHistory
    samples: int
    held_out: int


Scores = Mapping[str, Mapping[str, float]]  # by output and metric


@dataclass(frozen=True, kw_only=True)
class OptimizeReceipt:
    """What was done to a model, in which order, and what came of it.

    `loss` is by output; `before` and `after` are the scores on the held-out samples; `sparsity` and `clusters` are read from the
    file, None where they were not asked for.
    """

    model: SourceModel
    data: TrainingData
    seed: int
    teacher: float
    loss: Mapping[str, str]
    steps: MethodReceipts
    before: Scores
    after: Scores
    sparsity: tuple[PrunedTensor, ...] | None = None
    clusters: tuple[ClusteredTensor, ...] | None = None
    file: TrainedFile
    tools: Mapping[str, str]

    def record(self) -> dict[str, Any]:
        """The receipt as JSON, without what it does not have."""
        content: dict[str, Any] = drop_missing(to_json(self))
        return content
