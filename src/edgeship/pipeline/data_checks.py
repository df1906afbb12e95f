"""What is wrong with the data and the settings of a run, found when the model's inputs and outputs are known: before any work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeship import untrusted
from edgeship.benchmarks.compare import accuracy, metrics
from edgeship.benchmarks.gate.budget import NO_LABELS, Budget
from edgeship.bundle.goldens import SAMPLES
from edgeship.bundle.manifest import Manifest
from edgeship.data import HINT, Batch, RepresentativeDataset
from edgeship.devices import profiles
from edgeship.errors import InputError, unknown_name_error
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher
from edgeship.settings.config import Config
from edgeship.types import TensorSpec

BATCH = 256


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of the server model, which the data has to fit."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def check_settings(settings: Config) -> Budget:
    """The budget, read. Raises InputError for what can be told from the configuration alone, naming its file."""
    where = f"{settings.source}, [benchmark]"
    for name in settings.benchmark.runtimes:
        registry.find(name, where)
    if settings.benchmark.metric not in (None, *metrics.METRICS):
        raise unknown_name_error("metric", str(settings.benchmark.metric), metrics.METRICS, where)
    for device in map(profiles.find_device, settings.benchmark.devices):
        find_launcher(device).options(timed=True)
    return Budget.parse(settings.budget, settings.source)


def named_datasets(settings: Config) -> dict[str, RepresentativeDataset]:
    """The data that the configuration names beside the calibration's, as far as it is there and can be read."""
    datasets = {}
    trains = any(variant.recipes for variant in settings.variants or ())
    for key in ("evaluation", "validation", *(["train"] if trains else [])):
        source = getattr(settings.data, key)
        if source and not untrusted.is_code(source) and os.path.exists(source):
            with contextlib.suppress(InputError):  # whoever needs it says what is wrong
                datasets[key] = RepresentativeDataset(source)
    return datasets


def is_recorded(manifest: Manifest, key: str, source: str) -> bool:
    """Whether what lies there is the data that a bundle was made with, by the digest in its manifest.

    A bundle may be anybody's, and name any file: whoever knows a digest knows the content, too.
    """
    entry = manifest.data.get(key)
    try:
        return entry is not None and RepresentativeDataset(source).digest == entry.digest
    except InputError:  # no data at all
        return False


def check_samples(data: RepresentativeDataset, inputs: Sequence[TensorSpec], limit: int | None = None) -> None:
    """Read the samples once. Raises InputError where they do not fit the inputs, or hold NaN, infinity or too large numbers."""
    for _ in data.feeds(inputs, BATCH, limit):
        pass


def check_calibration(data: RepresentativeDataset, model: Interface, *, all_samples: bool) -> None:
    """Check all samples where a variant needs them, else the few that become goldens."""
    check_samples(data, model.inputs, None if all_samples else SAMPLES)


def check_training(data: RepresentativeDataset, model: Interface, limit: int | None = None) -> None:
    """Check samples that a variant's model is trained further with; labels of at least one output are in them."""
    check_samples(data, model.inputs, limit)
    if not data.labels(1, model.inputs):
        raise InputError(f"{data.source}: training needs labels, and there is no array y in it; {HINT}")


def check_evaluation(data: RepresentativeDataset, model: Interface, settings: Config, budget: Budget) -> None:
    """Check samples and labels; the latter may be missing only where the budget asks for no accuracy."""
    limit = settings.data.evaluation_samples
    check_samples(data, model.inputs, limit)
    labels = chosen_labels(data, model.inputs, [spec.name for spec in model.outputs], settings)
    if not labels and budget.wants_accuracy:
        raise InputError(f"{data.source}: {NO_LABELS}")
    if not labels:
        return
    shapes = {spec.name: spec.shape for spec in model.outputs}
    try:
        for name, truth in accuracy.match_labels(labels, tuple(shapes)).items():
            _check_labels(truth, next(spec for spec in model.outputs if spec.name == name), settings.benchmark.metric)
    except InputError as error:
        raise InputError(f"{data.source}: {error}") from error


def _check_labels(labels: np.ndarray, output: TensorSpec, metric: str | None) -> None:
    """Whether some metric fits the labels and an output of such a shape; what only real outputs tell is told later."""
    sizes = output.shape[1:]
    if output.shape and None not in sizes:
        blank = np.broadcast_to(np.zeros((), output.dtype), (len(labels), *(size or 0 for size in sizes)))
        metrics.choose_metric(labels, blank, metric)


def chosen_labels(
    data: RepresentativeDataset, inputs: Sequence[TensorSpec], outputs: Sequence[str], settings: Config
) -> Batch:
    """The labels of the evaluation samples; `[benchmark] output` picks one output's.

    Raises InputError where the model has no output of that name.
    """
    labels = data.labels(settings.data.evaluation_samples, inputs)
    output = settings.benchmark.output
    if output is None:
        return labels
    if output not in outputs:
        raise unknown_name_error("output", output, outputs, f"{settings.source}, [benchmark]")
    return {f"y_{output}": labels[name] for name in (f"y_{output}", "y") if name in labels}
