"""The loss that labels and outputs call for: classes, probabilities or values; never assumed, always said in the receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
CLASSES, ONE_HOT, BINARY, VALUES = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
    "mean_squared_error",
)
KINDS = {
    CLASSES: "SparseCategoricalCrossentropy",
    ONE_HOT: "CategoricalCrossentropy",
    BINARY: "BinaryCrossentropy",
    VALUES: "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "huber": "Huber",
}


@dataclass(frozen=True)
class Loss:
    """A loss by name; `logits`: the output is not yet probabilities."""

    name: str
    logits: bool = False

    def build_loss(self, api: Any) -> Any:
        """The loss object of Keras 3 or tf_keras (`api`)."""
        options = {"from_logits": self.logits} if self.name in (CLASSES, ONE_HOT, BINARY) else {}
        return getattr(api.losses, KINDS[self.name])(**options)

    @property
    def for_soft_targets(self) -> Loss:
        """The loss for targets that are partly a teacher's answers: classes become probabilities."""
        return replace(self, name=ONE_HOT) if self.name == CLASSES else self

    def soften(self, labels: Array, answers: Array, teacher: float) -> Array:
        """Targets of the answers' shape, float32: labels with weight 1 - `teacher`, the teacher's own `answers` with that."""
        if self.name == CLASSES:
            hard = (labels.reshape(*answers.shape[:-1], 1) == np.arange(answers.shape[-1])).astype(np.float32)
        else:
            hard = labels.reshape(answers.shape).astype(np.float32)
        soft = answers.astype(np.float32)
        if self.logits:
            soft = special.expit(soft) if self.name == BINARY else special.softmax(soft, axis=-1)
        targets: Array = (1 - teacher) * hard + teacher * soft
        return targets

    @property
    def metric(self) -> str:
        """What is reported beside it."""
        return "accuracy" if self.name in (CLASSES, ONE_HOT, BINARY) else "mae"

    def score(self, labels: Array, outputs: Array) -> float:
        """The metric: the share of right answers (higher is better), or the mean absolute error (lower is better)."""
        if self.name == CLASSES:
            return float(np.mean(outputs.argmax(-1) == labels.reshape(outputs.shape[:-1])))
        if self.name == ONE_HOT:
            return float(np.mean(outputs.argmax(-1) == labels.argmax(-1)))
        labels = labels.reshape(outputs.shape)
        if self.name == BINARY:
            return float(np.mean((outputs > (0.0 if self.logits else 0.5)) == (labels > 0.5)))
        return float(np.mean(np.abs(outputs - labels)))


def choose(name: str, labels: Array, outputs: Array, loss_name: str | None) -> Loss:
    """The loss for an output `name`, from some of its labels and what the model answers now.

    Whole numbers for an output of C > 1 values are classes; labels of the output's own shape are probabilities where they are
    zeros and ones, else values. Raises InputError where the shapes fit nothing.
    """
    if loss_name is not None and loss_name not in KINDS:
        raise unknown_name_error("loss", loss_name, KINDS)
    wide = outputs.ndim > 1 and outputs.shape[-1] > 1
    classes = labels.dtype.kind in "iub" and wide and labels.shape in (outputs.shape[:-1], (*outputs.shape[:-1], 1))
    same = labels.shape == outputs.shape or (labels.shape == outputs.shape[:-1] and not wide)
    if not classes and not same:
        raise InputError(
            f"labels of shape {_shape_text(labels.shape)} ({labels.dtype}) do not fit output '{name}' "
            f"of shape {_shape_text(outputs.shape)}"
        )
    if loss_name:
        shares = loss_name in (CLASSES, ONE_HOT, BINARY)
        return Loss(loss_name, logits=shares and not _are_probabilities(outputs, sums=loss_name != BINARY))
    if classes:
        if labels.min() < 0 or labels.max() >= outputs.shape[-1]:
            raise InputError(
                f"labels from {labels.min()} to {labels.max()} do not fit the {outputs.shape[-1]} classes of '{name}'"
            )
        return Loss(CLASSES, logits=not _are_probabilities(outputs, sums=True))
    if not np.isin(labels, (0, 1)).all():
        return Loss(VALUES)
    if wide and np.all(labels.sum(-1) == 1):
        return Loss(ONE_HOT, logits=not _are_probabilities(outputs, sums=True))
    return Loss(BINARY, logits=not _are_probabilities(outputs, sums=False))


def _are_probabilities(outputs: Array, *, sums: bool) -> bool:
    inside = bool(np.all((outputs >= 0) & (outputs <= 1)))
    return inside and (not sums or bool(np.allclose(outputs.sum(-1), 1, atol=1e-3)))


def _shape_text(shape: Sequence[int]) -> str:
    return "x".join(["n", *map(str, shape[1:])])
