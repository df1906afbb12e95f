"""The step of a conversion that trains the server model further, for the variants that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.optimize.receipt import OptimizeReceipt
from edgeship.pipeline import remote_calls
from edgeship.pipeline.conversion.source import TRAINED, ModelSource, TrainedModel
from edgeship.pipeline.fine_tuning import summary
from edgeship.pipeline.step_queue import CachedStep, Inputs, StepRun
from edgeship.processes.executors import TRAIN
from edgeship.recipes.training import Recipes
from edgeship.settings.config import Config
from edgeship.storage import digest
from edgeship.storage.cache import Entry, versions
from edgeship.typed_json import convert
from edgeship.types import Step, to_json

TOOLS = ("tensorflow", "keras", "tf-keras", "tensorflow-model-optimization")
NO_DATA = (
    "training a variant further needs training data with labels: name it as train in [data] of the configuration "
    "(an .npz with one array per model input under its name, labels in y)"
)


@dataclass(frozen=True)
class TrainingReport:
    """What training further did, and a few lines on it."""

    receipt: OptimizeReceipt
    notes: tuple[str, ...]


def train_step(model: ModelSource, settings: Config, recipes: Recipes) -> CachedStep:
    """The step that trains `model` further; its value is a `TrainedModel`.

    Raises InputError where the configuration names no training data.
    """
    source, validation = settings.data.train, settings.data.validation
    if source is None:
        raise InputError(NO_DATA)
    data = RepresentativeDataset(source)
    held_out = RepresentativeDataset(validation) if validation else None
    asked = {name: value for name, value in to_json(recipes).items() if value is not None}
    loading = {name: value for name, value in model.loading.items() if name != "signature"}
    by_content = _by_content(asked)

    def key(_: Inputs) -> dict[str, Any]:
        described = {
            "model": model.digest,
            "data": [data.digest, held_out.digest if held_out else None],
            "custom": model.custom,
            "training": settings.training,
            "recipes": by_content,
            "tools": versions(*TOOLS),
            **loading,
        }
        return dict(to_json(described))

    def make(run: StepRun, folder: Path) -> TrainingReport:
        with digest.check_unchanged(model.path, model.digest):
            receipt = run.executor.call(
                remote_calls.train_further,
                model=str(model.path),
                out=str(folder / TRAINED),
                data=str(data.path),
                validation=str(held_out.path) if held_out else None,
                recipes=asked,
                training=to_json(settings.training),
                **loading,
            )
        return TrainingReport(receipt, tuple(summary(receipt)))

    return CachedStep(
        name=f"train further {asked}",
        executors=TRAIN,
        kind="optimize",
        key=key,
        make=make,
        value=lambda _, entry: _read_trained_model(model, asked, entry),
        label=f"train further: {', '.join(asked)}",
    )


def _read_trained_model(model: ModelSource, asked: Mapping[str, Any], entry: Entry) -> TrainedModel:
    receipt = convert(TrainingReport, entry.result).receipt.record()
    tensors = {"prune": receipt.get("sparsity"), "cluster": receipt.get("clusters")}
    steps = (
        Step(
            f"optimize.{name}",
            model.digest,
            {**recipe, "done": receipt["steps"][name], "tensors": tensors.get(name) or []},
            versions(*TOOLS),
        )
        for name, recipe in asked.items()
    )
    return TrainedModel(entry.path / TRAINED, entry.digest, tuple(steps))


def _by_content(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked, with the student's digest in the place of its path."""
    distill = asked.get("distill") or {}
    if not distill.get("student"):
        return dict(asked)
    path = Path(distill["student"])
    if not path.is_file():
        raise InputError(f"student {path}: no such file")
    return {**asked, "distill": {**distill, "student": digest.of_path(path)}}
