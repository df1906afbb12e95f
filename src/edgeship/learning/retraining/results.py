"""What a retraining answers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgeship.learning.retraining.record import Retraining
from edgeship.light_dataclass import dataclass

RetrainOutcome = Literal["nothing to do", "would train", "better", "refused"]  # in words for the command line


@dataclass(frozen=True)
class Decision:
    """Whether to train: `reasons` for it, and `silent`, what was looked at and gives none."""

    train: bool
    reasons: tuple[str, ...]
    silent: tuple[str, ...]


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained on: labelled samples (repeated so often), old ones, and how many the audit judges by.

    `notes`: what else is known of the data.
    """

    labels: int
    repeats: int
    replay: int
    audit: int
    classes: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RetrainResult:
    """What was decided and done. `challenger`: the version that was made or is there already (`is_new`); its `record`.

    `folder`: where it was made; `promoted`: whether staging points to it now.
    """

    outcome: RetrainOutcome
    name: str
    champion: int
    decision: Decision
    plan: TrainingPlan | None = None
    challenger: int | None = None
    is_new: bool = False
    promoted: bool = False
    record: Retraining | None = None
    folder: Path | None = None
    page: Path | None = None
