"""Recipes that need training: what is asked of pruning, clustering, quantization-aware training and distillation.

Checked on construction, never acting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from msgspec import Meta

from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.toml_tables import Table
from edgeship.untrusted import SHOWN

SCHEDULES = ("polynomial", "constant")
BLOCK = re.compile(r"(\d+)x(\d+)")


Share = Annotated[float, Meta(ge=0, le=1, title="a number from 0 to 1")]
Count = Annotated[int, Meta(ge=1, title="a whole number, at least 1")]
Steps = Annotated[int, Meta(ge=0, title="a whole number of steps, at least 0")]
Patterns = Annotated[
    tuple[str, ...],
    Meta(
        title="a list of patterns",
        description="Only layers whose names match one of these shell patterns; default: every layer that it can be done to.",
        examples=[["conv*"]],
    ),
]


@dataclass(frozen=True)
class PruneRecipe(Table):
    """Magnitude pruning of each chosen tensor; `layers` without any is every layer with a kernel.

    What is not given of `begin`, `end` and `frequency`, in optimizer steps, is derived from the real number of steps.
    """

    MAIN = "sparsity"

    sparsity: Annotated[
        float,
        Meta(
            ge=0,
            lt=1,
            title="a share of zeros from 0 up to, not including, 1",
            description="The share of zeros in each chosen kernel.",
            examples=[0.7],
        ),
    ] = 0.5
    schedule: Annotated[
        str,
        Meta(
            title="polynomial or constant",
            description="polynomial raises sparsity along a cubic curve (Zhu and Gupta 2017), constant asks for all at once.",
            examples=["constant"],
        ),
    ] = "polynomial"
    layers: Patterns = ()
    pattern: Annotated[
        str,
        Meta(
            description='Where the zeros lie: "" anywhere, "2:4" two in every four along the input channels, "4x1" in blocks of '
            "rows x columns of two-dimensional kernels.",
            examples=["2:4"],
        ),
    ] = ""
    begin: Annotated[Steps | None, Meta(description="The step at which it begins.", examples=[0])] = None
    end: Annotated[Steps | None, Meta(description="The step at which `sparsity` is reached.", examples=[2000])] = None
    frequency: Annotated[
        Annotated[int, Meta(ge=1, title="a whole number of steps, at least 1")] | None,
        Meta(description="Weights are set to zero again every so many steps.", examples=[100]),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule not in SCHEDULES:
            raise unknown_name_error("schedule", self.schedule, SCHEDULES)
        if self.pattern == "2:4" and self.sparsity != 0.5:
            raise InputError(f"2:4 means a sparsity of 0.5, not {self.sparsity}")
        if self.pattern not in ("", "2:4") and not (BLOCK.fullmatch(self.pattern) and min(self.block)):
            raise InputError(
                f"pattern {repr(self.pattern)[:SHOWN]} is neither '2:4' nor a block as rows x columns, such as '4x1'"
            )

    @property
    def block(self) -> tuple[int, int]:
        """Rows and columns of a block; 1, 1 where zeros may lie anywhere."""
        match = BLOCK.fullmatch(self.pattern)
        return (int(match[1]), int(match[2])) if match else (1, 1)


@dataclass(frozen=True)
class ClusterRecipe(Table):
    """At most `clusters` different values in each chosen tensor; `layers` as for pruning. Zeros of pruning stay."""

    MAIN = "clusters"

    clusters: Annotated[
        int,
        Meta(
            ge=2,
            le=256,
            title="a whole number from 2 to 256",
            description="At most so many different values in each chosen kernel.",
        ),
    ] = 16
    layers: Patterns = ()


@dataclass(frozen=True)
class QatRecipe(Table):
    """Quantization-aware training for full-integer 8-bit; `layers` as for pruning (none: every layer TFMOT knows)."""

    MAIN = "enabled"

    enabled: Annotated[
        bool, Meta(title="true, false or a table with layers", description="Whether it is done.", examples=[True])
    ] = True
    layers: Patterns = ()


@dataclass(frozen=True)
class DistillRecipe(Table):
    """A smaller model learns from the server model (Hinton, Vinyals and Dean 2015)."""

    MAIN = "width"

    width: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            title="a share of the server model's, above 0 and at most 1",
            description="Every hidden layer is thinned to this share of its width.",
        ),
    ] = 0.5
    student: Annotated[
        str | None,
        Meta(
            title="the path of a model",
            description="This model file is taught instead of a thinned server model; the path is relative to the file.",
            examples=["client.keras"],
        ),
    ] = None
    temperature: Annotated[
        float, Meta(gt=0, title="a number above 0", description="Softens the server model's probabilities.")
    ] = 3.0
    labels: Annotated[Share, Meta(description="The weight of the true labels in the loss.")] = 0.3


@dataclass(frozen=True)
class Training(Table):
    """How the model is trained further; what is None is derived from the data."""

    epochs: Annotated[Count, Meta(description="Passes over the training data at most, for each method.")] = 4
    batch: Annotated[Count, Meta(description="Samples in a batch.")] = 64
    learning_rate: Annotated[
        float,
        Meta(
            gt=0,
            lt=100,
            title="a number above 0 and below 100",
            description="Where the learning rate begins; it falls to 0 along a cosine.",
        ),
    ] = 1e-3
    seed: Annotated[
        int,
        Meta(
            ge=0,
            lt=2**31,
            title="a whole number from 0 to 2147483647",
            description="Of the order of samples, of those that are held out, and of training.",
        ),
    ] = 0
    patience: Annotated[Count, Meta(description="Training ends after so many epochs without a better one.")] = 3
    loss: Annotated[
        str | None,
        Meta(
            description="The loss by Keras's name; default: the one that the labels call for.",
            examples=["mean_absolute_error"],
        ),
    ] = None
    samples: Annotated[
        Count | None, Meta(description="At most so many samples of the training data; default: all.", examples=[5000])
    ] = None
    teacher: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="a weight from 0 (labels only) to 1 (the server model only)",
            description="The weight of the server model's own answers, beside the labels, in what a pruned, clustered or "
            "quantized model learns (Hinton, Vinyals and Dean 2015, at temperature 1); distillation has a weight of its own.",
            examples=[1.0],
        ),
    ] = 0.0


@dataclass(frozen=True)
class Recipes:
    """All that is asked of one model, in the order in which it is done."""

    distill: DistillRecipe | None = None
    prune: PruneRecipe | None = None
    cluster: ClusterRecipe | None = None
    qat: QatRecipe | None = None

    @classmethod
    def read(cls, table: Mapping[str, Any], where: str = "recipe") -> Self:
        """Recipes from `{"prune": 0.7, "qat": true, ...}`; what is absent, None or `qat = false` is not done."""
        kinds: dict[str, type[Table]] = {
            "distill": DistillRecipe,
            "prune": PruneRecipe,
            "cluster": ClusterRecipe,
            "qat": QatRecipe,
        }
        values = {name: value for name, value in table.items() if value is not None}
        recipes = {name: kinds[name].read(value, f"{where}, {name}") for name, value in values.items()}
        return cls(**{name: recipe for name, recipe in recipes.items() if recipe != QatRecipe(enabled=False)})  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return any((self.distill, self.prune, self.cluster, self.qat))
