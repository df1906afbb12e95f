"""Temperatures for artifacts that keep the server model's answers and shift their confidence; they travel in the manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship import untrusted
from edgeship.benchmarks.compare import accuracy, metrics, temperature_scaling
from edgeship.benchmarks.measure.benchmark import Reference, evaluation_batch
from edgeship.bundle.manifest import ArtifactEntry, Manifest, Temperature
from edgeship.data import Array, RepresentativeDataset
from edgeship.errors import EdgeshipError, InputError
from edgeship.formats import formats
from edgeship.pipeline.step_queue import StepTools
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.settings import config
from edgeship.storage import cache, digest
from edgeship.typed_json import convert
from edgeship.types import Artifact, to_json

NO_DATA = "it is fitted on labelled validation or calibration data, which is not the evaluation's: there is none"


def repair_confidences(
    work: StepTools, draft: Path, manifest: Manifest, settings: config.Config, reference: Reference
) -> Manifest:
    """The manifest with a temperature per output of each artifact that needs one, or the reason for none.

    Fitted on the validation data (else the calibration data, where it has labels), and kept only where it lowers the ECE
    on the evaluation data.
    """
    entries = []
    for entry in manifest.artifacts:
        reports = [item.details.accuracy for item in manifest.measurements_of(entry.id) if item.details.accuracy]
        outputs = reports[0].outputs if reports and entry.foreign is None else {}
        needy = [name for name, figures in outputs.items() if temperature_scaling.needs_temperature(figures)]
        temperatures = {name: _fit_cached(work, draft, entry, settings, reference, name) for name in needy}
        entries.append(replace(entry, temperature=temperatures or None))
    return replace(manifest, artifacts=tuple(entries))


def _fit_cached(
    work: StepTools, draft: Path, entry: ArtifactEntry, settings: config.Config, reference: Reference, output: str
) -> Temperature:
    data = _find_labelled_data(settings, reference)
    if data is None:
        return Temperature(None, NO_DATA)
    artifact, size = entry.within(draft), evaluation_batch(entry.receipt, reference.inputs)
    runtime = registry.for_format(artifact.format)[0]
    place = formats.find(artifact.format).place(artifact.path)
    key = {
        "artifact": digest.of_path(place),
        "runtime": runtime.identity(),
        "data": data.digest,
        "reference": reference.digest,
        "evaluation": [reference.data.digest, reference.limit],
        "output": output,
        "tools": cache.versions("scipy", "numpy"),
    }
    with work.progress.step(f"{entry.id}: temperature of '{output}'") as remarks:
        result = work.cache.get(
            "temperature",
            key,
            lambda _: to_json(_fit_temperature(artifact, runtime.name, size, data, reference, output)),
        )
        remarks.extend(["cached"] if result.hit else [])
    return convert(Temperature, result.result)


def _find_labelled_data(settings: config.Config, reference: Reference) -> RepresentativeDataset | None:
    """The validation data, else the calibration data, if it is still there, has labels, and is not the evaluation's."""
    for source in (settings.data.validation, settings.data.calibration):
        if source is None or not (untrusted.is_code(source) or Path(source).exists()):
            continue
        data = RepresentativeDataset(source)
        if data.digest != reference.data.digest and data.labels(None, reference.inputs):
            return data
    return None


def _fit_temperature(
    artifact: Artifact, runtime: str, size: int, data: RepresentativeDataset, reference: Reference, output: str
) -> Temperature:
    try:
        with open_session(runtime, artifact.path, threads=os.cpu_count(), bridge=artifact.bridge) as session:
            fitting = session.evaluate(data.feeds(reference.inputs, size), size)[output]
            judging = session.evaluate(reference.batches(), size)[output]
        truth = _class_numbers(data.labels(None, reference.inputs), fitting, output, tuple(reference.outputs))
        value = temperature_scaling.fit_temperature(truth, fitting)
    except (EdgeshipError, ValueError) as error:
        return Temperature(None, str(error))
    labels = _class_numbers(reference.labels, judging, output, tuple(reference.outputs))
    before, after = (temperature_scaling.calibration_error(labels, judging, factor) for factor in (1.0, value))
    temperature = Temperature(value, "", len(truth), data.digest, before, after)
    if after >= before:
        reason = f"a temperature of {value:.3g} does not lower the calibration error"
        return replace(temperature, value=None, reason=reason)
    return temperature


def _class_numbers(labels: Mapping[str, Array], scores: Any, output: str, outputs: tuple[str, ...]) -> Any:
    """The class numbers (n,) of an output."""
    _, truth, _ = metrics.choose_metric(accuracy.match_labels(labels, outputs)[output], scores, "top1")
    if truth.ndim != 1:
        raise InputError("only for one answer per sample")
    return truth
