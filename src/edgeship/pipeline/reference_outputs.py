"""The server model's answers: computed once per content, in the export executor, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from edgeship.benchmarks.measure import on_host
from edgeship.data import RepresentativeDataset, load
from edgeship.formats.formats import TENSORFLOW
from edgeship.pipeline.data_checks import chosen_labels
from edgeship.processes.executors import PipelineExecutors
from edgeship.progress import Progress
from edgeship.server_model.custom_objects import custom_digest
from edgeship.settings import config
from edgeship.storage import cache, digest
from edgeship.types import TensorSpec


class StepTools(Protocol):
    """What a step needs: executors, the cache, and where to say what is going on."""

    @property
    def executors(self) -> PipelineExecutors: ...  # noqa: D102
    @property
    def progress(self) -> Progress: ...  # noqa: D102
    @property
    def cache(self) -> cache.Cache: ...  # noqa: D102


def begin(work: StepTools, model: Path, settings: config.Config, data: RepresentativeDataset) -> Future[cache.Entry]:
    """The server model's outputs on the evaluation data, in the export executor behind what is queued there."""
    limit = settings.data.evaluation_samples
    key = {**server_key(model, settings), "data": data.digest, "limit": limit}

    def make(folder: Path) -> Any:
        with digest.check_unchanged(model, key["model"]):
            return predict(work, model, settings, data.path, folder, limit, data.source)

    def job() -> cache.Entry:
        count = min(len(data), limit or len(data))
        with work.progress.step(f"server model: answer {count} evaluation samples") as remarks:
            entry = work.cache.get("reference", key, make)
            remarks.extend(["cached"] if entry.hit else [])
        return entry

    return work.executors.export.submit(job)


def predict(
    work: StepTools, model: Path, settings: config.Config, data: Path, folder: Path, limit: int | None, source: str
) -> Any:
    """Have the executor write the server model's outputs for a data source, called `source`, to `folder/outputs.npz`."""
    function, out, loading = (
        "edgeship.server_model.server_model:predict_file",
        str(folder / "outputs.npz"),
        asdict(settings.model),
    )
    asked = {"data": str(data), "out_npz": out, "limit": limit, "source": source}
    return work.executors.export.call(function, model=str(model), **asked, **loading)


def server_key(model: Path, settings: config.Config) -> dict[str, Any]:
    """What the server model's outputs depend on, beside its inputs."""
    return {
        "model": digest.of_path(model),
        "tools": cache.versions(*TENSORFLOW),
        "custom": custom_digest(settings.model.custom_objects),
        **asdict(settings.model),
    }


def reference(
    inputs: Sequence[TensorSpec], settings: config.Config, evaluation: RepresentativeDataset, entry: cache.Entry
) -> on_host.Reference:
    """The server model's outputs with the labels that belong to them; `[benchmark] output` picks one output's."""
    outputs = load(entry.path / "outputs.npz")
    limit = settings.data.evaluation_samples
    labels = chosen_labels(evaluation, inputs, list(outputs), settings)
    return on_host.Reference(evaluation, tuple(inputs), outputs, labels, limit, entry.digest)
