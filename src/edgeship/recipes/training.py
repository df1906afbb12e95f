"""Recipes that need training: what is asked of pruning, clustering, quantization-aware training and distillation.

Checked on construction, never acting. Standard library only, as `edgeship.recipes.quantization`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from edgeship.errors import InputError, unknown
from edgeship.untrusted import SHOWN

SCHEDULES = ("polynomial", "constant")
BLOCK = re.compile(r"(\d+)x(\d+)")


class _Table:
    """Reads a recipe from what stands in TOML: a table of its fields, or the one value that matters most."""

    MAIN = ""

    @classmethod
    def read(cls, value: Any, where: str) -> Self:
        """The recipe that a TOML value stands for. Raises InputError naming the place and the known keys."""
        keys = [item.name for item in fields(cls)]  # type: ignore[arg-type]
        table = value if isinstance(value, Mapping) else {cls.MAIN: value}
        for key in table:
            if key not in keys:
                raise unknown("key", key, keys, where)
        try:
            return cls(**{key: tuple(item) if isinstance(item, list) else item for key, item in table.items()})
        except (InputError, TypeError) as error:
            raise InputError(f"{where}: {error}") from error


def _check_patterns(layers: object) -> None:
    if not isinstance(layers, tuple) or not all(isinstance(pattern, str) for pattern in layers):
        raise InputError(f"layers = {repr(layers)[:SHOWN]} must be a list of patterns, as layers = ['conv*']")


@dataclass(frozen=True)
class PruneRecipe(_Table):
    """Magnitude pruning of each chosen tensor to the share `sparsity` of zeros.

    `layers` are shell patterns on layer names (none: every layer with a kernel). `pattern` is where the zeros lie:
    "" anywhere, "2:4" two in every four along the input channels, "4x1" in blocks of rows x columns of two-dimensional
    kernels. `begin`, `end` and `frequency` are in optimizer steps; what is not given is derived from the real number
    of steps. "polynomial" raises sparsity along a cubic curve (Zhu and Gupta 2017), "constant" asks for all of it at once.
    """

    MAIN = "sparsity"

    sparsity: float = 0.5
    schedule: str = "polynomial"
    layers: tuple[str, ...] = ()
    pattern: str = ""
    begin: int | None = None
    end: int | None = None
    frequency: int | None = None

    def __post_init__(self) -> None:
        _check_patterns(self.layers)
        if isinstance(self.sparsity, bool) or not isinstance(self.sparsity, (int, float)) or not 0 <= self.sparsity < 1:
            raise InputError(
                f"sparsity {repr(self.sparsity)[:SHOWN]} must be a share of zeros from 0 up to, not including, 1"
            )
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        if self.pattern == "2:4" and self.sparsity != 0.5:
            raise InputError(f"2:4 means a sparsity of 0.5, not {self.sparsity}")
        if self.pattern not in ("", "2:4") and not (BLOCK.fullmatch(self.pattern) and min(self.block)):
            raise InputError(
                f"pattern {repr(self.pattern)[:SHOWN]} is neither '2:4' nor a block as rows x columns, such as '4x1'"
            )
        for name, least in (("begin", 0), ("end", 0), ("frequency", 1)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise InputError(f"{name} {repr(value)[:SHOWN]} must be a whole number of steps, at least {least}")

    @property
    def block(self) -> tuple[int, int]:
        """Rows and columns of a block; 1, 1 where zeros may lie anywhere."""
        match = BLOCK.fullmatch(self.pattern)
        return (int(match[1]), int(match[2])) if match else (1, 1)


@dataclass(frozen=True)
class ClusterRecipe(_Table):
    """At most `clusters` different values in each chosen tensor; `layers` as for pruning. Zeros of pruning stay."""

    MAIN = "clusters"

    clusters: int = 16
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_patterns(self.layers)
        if isinstance(self.clusters, bool) or not isinstance(self.clusters, int) or not 2 <= self.clusters <= 256:
            raise InputError(f"clusters = {repr(self.clusters)[:SHOWN]} must be a whole number from 2 to 256")


@dataclass(frozen=True)
class QatRecipe(_Table):
    """Quantization-aware training for full-integer 8-bit; `layers` as for pruning (none: every layer TFMOT knows)."""

    MAIN = "enabled"

    enabled: bool = True
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_patterns(self.layers)
        if not isinstance(self.enabled, bool):
            raise InputError(f"qat = {repr(self.enabled)[:SHOWN]} must be true, false or a table with layers")


@dataclass(frozen=True)
class DistillRecipe(_Table):
    """A smaller model learns from the server model: `width` thins every hidden layer, or `student` names a model file.

    `temperature` softens the teacher's probabilities, `labels` is the weight of the true labels in the loss (Hinton,
    Vinyals and Dean 2015).
    """

    MAIN = "width"

    width: float = 0.5
    student: str | None = None
    temperature: float = 3.0
    labels: float = 0.3

    def __post_init__(self) -> None:
        if isinstance(self.width, bool) or not isinstance(self.width, (int, float)) or not 0 < self.width <= 1:
            raise InputError(
                f"width {repr(self.width)[:SHOWN]} must be a share of the server model's, above 0 and at most 1"
            )
        if self.student is not None and (not isinstance(self.student, str) or "\0" in self.student):
            raise InputError(f"student = {repr(self.student)[:SHOWN]} must be the path of a model")
        if not self.temperature > 0 or not 0 <= self.labels <= 1:
            raise InputError("temperature must be above 0 and labels, the weight of the true labels, from 0 to 1")


@dataclass(frozen=True)
class Training(_Table):
    """How the model is trained further; what is None is derived from the data. `patience` is in epochs.

    `teacher` is the weight of the server model's own answers beside the labels in what a pruned, clustered or quantized model
    learns (Hinton, Vinyals and Dean 2015, at temperature 1); distillation has a weight of its own.
    """

    epochs: int = 4
    batch: int = 64
    learning_rate: float = 1e-3
    seed: int = 0
    patience: int = 3
    loss: str | None = None
    samples: int | None = None
    teacher: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.teacher, bool) or not isinstance(self.teacher, (int, float)) or not 0 <= self.teacher <= 1:
            raise InputError(
                f"teacher = {repr(self.teacher)[:SHOWN]} must be a weight from 0 (labels only) to 1 (the server model only)"
            )
        for name in ("epochs", "batch", "patience", "samples"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(f"{name} = {repr(value)[:SHOWN]} must be a whole number, at least 1")
        if not 0 < self.learning_rate < 100:
            raise InputError(f"learning rate {repr(self.learning_rate)[:SHOWN]} must be above 0")


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
        kinds: dict[str, type[_Table]] = {
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
