"""Temperatures for artifacts that keep the server model's answers and shift their confidence; they travel in the manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeship import untrusted
from edgeship.benchmarks.compare import accuracy, metrics, temperature_scaling
from edgeship.benchmarks.measure.on_host import Reference, batch_size
from edgeship.data import Array, RepresentativeDataset
from edgeship.errors import EdgeshipError, InputError
from edgeship.pipeline.reference_outputs import StepTools
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.settings import config
from edgeship.storage import cache, digest
from edgeship.types import Artifact

NO_DATA = "it is fitted on labelled validation or calibration data, which is not the evaluation's: there is none"


def repair(
    work: StepTools, draft: Path, manifest: dict[str, Any], settings: config.Config, reference: Reference
) -> None:
    """Give each artifact of the manifest that needs it `temperature`: per output its `value`, or the `reason` for none.

    Fitted on the validation data (else the calibration data, where it has labels), and kept only where it lowers the ECE
    on the evaluation data.
    """
    for item in manifest["artifacts"]:
        item.pop("temperature", None)
        mine = [one for one in manifest["measurements"] if one["artifact"] == item["id"]]
        found = [one["details"]["accuracy"] for one in mine if one["details"].get("accuracy")]
        compared = found[0]["outputs"] if found else {}
        wanted = [name for name, figures in compared.items() if temperature_scaling.wanted(figures)]
        if wanted:
            item["temperature"] = {name: _fitted(work, draft, item, settings, reference, name) for name in wanted}


def _fitted(
    work: StepTools, draft: Path, item: Mapping[str, Any], settings: config.Config, reference: Reference, output: str
) -> dict[str, Any]:
    data = _labelled(settings, reference)
    if data is None:
        return {"value": None, "reason": NO_DATA}
    artifact = Artifact.from_json(item, draft)
    runtime = registry.for_format(artifact.format)[0]
    place = artifact.path.parent if artifact.format == "tfjs" else artifact.path
    key = {
        "artifact": digest.of_path(place),
        "runtime": runtime.identity(),
        "data": data.digest,
        "reference": reference.digest,
        "evaluation": [reference.data.digest, reference.limit],
        "output": output,
        "tools": cache.versions("scipy", "numpy"),
    }
    with work.progress.step(f"{item['id']}: temperature of '{output}'") as remarks:
        entry = work.cache.get("temperature", key, lambda _: _fit(artifact, runtime.name, data, reference, output))
        remarks.extend(["cached"] if entry.hit else [])
    found: dict[str, Any] = entry.result
    return found


def _labelled(settings: config.Config, reference: Reference) -> RepresentativeDataset | None:
    """The validation data, else the calibration data, if it is still there, has labels, and is not the evaluation's."""
    for source in (settings.data.validation, settings.data.calibration):
        if source is None or not (untrusted.is_code(source) or Path(source).exists()):
            continue
        data = RepresentativeDataset(source)
        if data.digest != reference.data.digest and data.labels(None, reference.inputs):
            return data
    return None


def _fit(
    artifact: Artifact, runtime: str, data: RepresentativeDataset, reference: Reference, output: str
) -> dict[str, Any]:
    size = batch_size(reference.inputs)
    try:
        with open_session(runtime, artifact.path, threads=os.cpu_count()) as session:
            fitting = session.evaluate(data.feeds(reference.inputs, size), size)[output]
            judging = session.evaluate(reference.batches(), size)[output]
        truth = _truth(data.labels(None, reference.inputs), fitting, output, tuple(reference.outputs))
        value = temperature_scaling.fit(truth, fitting)
    except (EdgeshipError, ValueError) as error:
        return {"value": None, "reason": str(error)}
    labels = _truth(reference.labels, judging, output, tuple(reference.outputs))
    before, after = (temperature_scaling.calibration_error(labels, judging, factor) for factor in (1.0, value))
    told = {"samples": len(truth), "data": data.digest, "ece": before, "ece_repaired": after}
    if after >= before:
        return {"value": None, "reason": f"a temperature of {value:.3g} does not lower the calibration error", **told}
    return {"value": value, "reason": "", **told}


def _truth(labels: Mapping[str, Array], scores: Any, output: str, outputs: tuple[str, ...]) -> Any:
    """The class numbers (n,) of an output."""
    _, truth, _ = metrics.choose(accuracy.match_labels(labels, outputs)[output], scores, "top1")
    if truth.ndim != 1:
        raise InputError("only for one answer per sample")
    return truth
