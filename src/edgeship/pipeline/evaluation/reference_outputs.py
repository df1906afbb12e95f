"""The server model's answers: computed once per content, in the export executor, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeship.benchmarks.compare.parity import has_answers
from edgeship.benchmarks.gate.budget import NO_ANSWERS, Budget
from edgeship.benchmarks.measure.benchmark import Reference
from edgeship.data import Batch, RepresentativeDataset, load
from edgeship.errors import InputError
from edgeship.formats.formats import TENSORFLOW
from edgeship.pipeline.data_checks import chosen_labels, read_groups
from edgeship.pipeline.step_queue import CachedStep, StepRun, StepTools
from edgeship.processes.executors import EXPORT
from edgeship.server_model import server_model
from edgeship.server_model.custom_objects import custom_digest
from edgeship.server_model.description import PredictedSamples
from edgeship.settings import config
from edgeship.storage import cache, digest
from edgeship.types import TensorSpec


def reference_step(model: Path, settings: config.Config, data: RepresentativeDataset) -> CachedStep:
    """The server model's outputs on the evaluation data."""
    limit = settings.data.evaluation_samples
    key = {**server_key(model, settings), "data": data.digest, "limit": limit}

    def make(run: StepRun, folder: Path) -> Any:
        with digest.check_unchanged(model, key["model"]):
            return predict_outputs(run, model, settings, data.path, folder, limit, data.source)

    count = min(len(data), limit or len(data))
    return CachedStep(
        name="reference",
        executors=EXPORT,
        kind="reference",
        key=lambda _: key,
        make=make,
        label=f"server model: answer {count} evaluation samples",
    )


def predict_outputs(
    work: StepTools, model: Path, settings: config.Config, data: Path, folder: Path, limit: int | None, source: str
) -> PredictedSamples:
    """Have the executor write the server model's outputs for a data source, called `source`, to `folder/outputs.npz`."""
    return work.executors.export.call(
        server_model.predict_file,
        model=str(model),
        data=str(data),
        out_npz=str(folder / "outputs.npz"),
        limit=limit,
        source=source,
        **asdict(settings.model),
    )


def server_key(model: Path, settings: config.Config) -> dict[str, Any]:
    """What the server model's outputs depend on, beside its inputs."""
    return {
        "model": digest.of_path(model),
        "tools": cache.versions(*TENSORFLOW),
        "custom": custom_digest(settings.model.custom_objects),
        **asdict(settings.model),
    }


def build_reference(
    inputs: Sequence[TensorSpec], settings: config.Config, evaluation: RepresentativeDataset, entry: cache.Entry
) -> Reference:
    """The server model's outputs with the labels that belong to them; `[benchmark] output` picks one output's."""
    outputs = load(entry.path / "outputs.npz")
    budget = Budget.parse(settings.budget, settings.source)
    check_agreement_limit(outputs, budget, settings)
    limit = settings.data.evaluation_samples
    labels = chosen_labels(evaluation, inputs, list(outputs), settings)
    groups = read_groups(evaluation, settings, budget)
    return Reference(evaluation, tuple(inputs), outputs, labels, limit, entry.digest, groups)


def check_agreement_limit(outputs: Batch, budget: Budget, settings: config.Config) -> None:
    """Raise InputError where same answers are asked for and none of the server model's outputs holds answers."""
    if budget.limits_agreement and not any(map(has_answers, outputs.values())):
        raise InputError(f"{settings.source} [budget]: {NO_ANSWERS}")
