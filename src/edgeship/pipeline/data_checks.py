"""What is wrong with the data and the settings of a run, found when the model's inputs and outputs are known: before any work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import numpy as np

from edgeship import untrusted
from edgeship.benchmarks.compare import accuracy, metrics
from edgeship.benchmarks.gate.budget import NO_ANSWERS, NO_LABELS, Budget
from edgeship.bundle.goldens import SAMPLES, pick_samples
from edgeship.bundle.manifest import Manifest
from edgeship.data import HINT, Batch, RepresentativeDataset
from edgeship.devices import profiles
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher
from edgeship.settings.config import Config
from edgeship.types import TensorSpec
from edgeship.untrusted import printable

BATCH = 256
MOST_GROUPS = 100


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of the server model, which the data has to fit."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def check_settings(settings: Config) -> Budget:
    """The budget, read. Raises InputError for what can be told from the configuration alone, naming its file."""
    where = f"{settings.source}, [benchmark]"
    for name in settings.benchmark.runtimes:
        if not registry.find(name, where).formats:
            raise InputError(
                f"{where}: {name} runs its own self-test and no artifacts: edgeship deploy selftest BUNDLE"
            )
    for metric in settings.benchmark.metric_choice.names:
        metrics.find_metric(metric, where)
    for device in map(profiles.find_device, settings.benchmark.devices):
        find_launcher(device).options(timed=True)
    budget = Budget.parse(settings.budget, settings.source)
    _check_floor(settings, budget)
    return budget


def _check_floor(settings: Config, budget: Budget) -> None:
    """A floor of the server model's figure is for a metric that there is, and that outputs are scored by."""
    choice = settings.benchmark.metric_choice
    for metric in budget.floor_metrics:
        metrics.find_metric(metric, f"{settings.source} [budget]: min_server_accuracy")
        if choice.default and metric not in choice.names:
            raise InputError(
                f"{settings.source}: min_server_accuracy is for {metric}, and the metric in [benchmark] is "
                f"{' and '.join(choice.names)}: a floor of one says nothing of the other; give a floor for the metric that counts"
            )


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


def check_stated_inputs(data: RepresentativeDataset | None, model: Interface, settings: Config) -> None:
    """Raise InputError where a table of the configuration's inputs does not fit the model or the data."""
    from edgeship.deploy.contract.describe import describe_inputs

    if data:
        samples = pick_samples(data, model.inputs)
    else:
        samples = {
            spec.name: np.zeros([size or 1 for size in (1, *spec.shape[1:])], spec.dtype) for spec in model.inputs
        }
    describe_inputs(model.inputs, samples, settings.input, source=settings.source, real=data is not None)


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
    read_groups(data, settings, budget)
    choice = settings.benchmark.metric_choice
    specs = {spec.name: spec for spec in model.outputs}
    for name in choice.by_output:
        if name not in specs:
            raise unknown_name_error("output", name, specs, f"{settings.source}, [benchmark.metrics]")
    chosen: dict[str, str | None] = {}
    try:
        for name, truth in accuracy.match_labels(labels, tuple(specs)).items():
            chosen[name] = _check_labels(truth, specs[name], choice.of_output(name))
    except InputError as error:
        raise InputError(f"{data.source}: {error}") from error
    if budget.limits_agreement and all(chosen.get(name) in metrics.OF_VALUES for name in specs):
        raise InputError(f"{settings.source} [budget]: {NO_ANSWERS}")


def read_groups(data: RepresentativeDataset, settings: Config, budget: Budget) -> np.ndarray | None:
    """The group of each evaluation sample, (n,) text, by `[budget] groups`; None where there are none.

    Raises InputError where the data has no such array, or it does not name groups.
    """
    name = budget.groups
    if name is None:
        return None
    where = f"{settings.source} [budget]: groups = '{printable(name)}'"
    if name not in data.shapes:
        raise InputError(f"{where}: no such array in {data.source} (it has: {printable(', '.join(data.shapes))})")
    if np.prod(data.shapes[name]) != 1 or data.dtypes[name].kind not in "biuSU":
        shape = "x".join(map(str, ("n", *data.shapes[name])))
        raise InputError(
            f"{where}: that array has shape {shape} and type {data.dtypes[name]}: give one whole number or text for each sample"
        )
    values = data.column(name, settings.data.evaluation_samples).reshape(-1)
    groups = np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values.astype(str)
    count = len(np.unique(groups))
    if count > MOST_GROUPS:
        raise InputError(f"{where}: {count:,} groups of {len(groups):,} samples are too many, at most {MOST_GROUPS}")
    return groups


def _check_labels(labels: np.ndarray, output: TensorSpec, metric: str | None) -> str | None:
    """Whether some metric fits the labels and an output of such a shape, and which; what only real outputs tell is told later."""
    sizes = output.shape[1:]
    if not output.shape or None in sizes:
        return metric
    blank = np.broadcast_to(np.zeros((), output.dtype), (len(labels), *(size or 0 for size in sizes)))
    return metrics.choose_metric(labels, blank, metric)[0].name


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
