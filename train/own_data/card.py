"""The model card of a person's own data: as that of built-in tasks, with protocol, baselines and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from edgeship.light_dataclass import dataclass
from edgeship.train.card import CodeVersion, ModelFacts, TrainingMachine, TrainingSeconds
from edgeship.train.dataset import DataDescription
from edgeship.train.own_data.configuration import NetworkSize, Plan
from edgeship.train.own_data.expectations import Results
from edgeship.train.own_data.protocol import Protocol
from edgeship.train.own_data.search_results import Tuning
from edgeship.types import drop_missing, to_json

SCHEMA = 2
TASK = "own data"


@dataclass(frozen=True)
class EpochLoss:
    """One epoch, counted from 1: the losses (cross-entropy, or the mean squared error in units of the target's deviation)."""

    epoch: int
    loss: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class OwnDataCard:
    """The card; `created` is ISO 8601, `files` are the digests of all others beside it, by name.

    `test_uses`: how often models trained into this folder were judged on this very test split, this one counted. Figures are of
    samples that the model judged has not seen; of k folds they are of all samples, each judged by the model of its fold, and the
    shipped model is that of the first. `hyperparameters` and `network` are its own, found by `tuning` where there was a search.
    `worse_than`: baselines that the network does not beat (`expectations.Results`).
    """

    schema: int = SCHEMA
    task: str = TASK
    title: str
    created: str
    edgeship: CodeVersion
    seed: int
    kind: str
    label: str
    model: ModelFacts
    data: DataDescription
    protocol: Protocol
    test_uses: int
    hyperparameters: Plan
    network: NetworkSize | None = None
    results: Results
    worse_than: tuple[str, ...]
    curve: tuple[EpochLoss, ...]
    tuning: Tuning | None = None
    seconds: TrainingSeconds
    tools: Mapping[str, str]
    machine: TrainingMachine
    files: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The card as JSON, without what it does not have."""
        content: dict[str, Any] = drop_missing(to_json(self))
        return content
