"""Judging one file after another by the same samples: for a search over many variants of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.gate import checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import Check, JudgedMeasurement
from edgeship.benchmarks.measure import host_noise, latency, sampling
from edgeship.benchmarks.measure.latency_ratio import compare_latency
from edgeship.benchmarks.measure.on_host import Reference, batch_size
from edgeship.data import Batch, RepresentativeDataset, save
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.runtimes.worker_pool import Pool
from edgeship.types import Artifact

Json = Mapping[str, Any]


@dataclass(frozen=True)
class CandidateJudge:
    """How files are judged: the server model's answers, the metric, and workers that are kept from file to file."""

    reference: Reference
    metric: str | None
    pool: Pool

    def judge(self, path: Path, artifact_format: str = "tflite") -> dict[str, Any]:
        """`parity` and, with labels, `accuracy` of a file as `benchmark` takes them. Raises ProcessError where it fails."""
        runtime = registry.for_format(artifact_format)[0].name
        reference = self.reference
        with open_session(runtime, path, threads=os.cpu_count(), pool=self.pool) as session:
            outputs = session.evaluate(reference.batches(), batch_size(reference.inputs))
        details: dict[str, Any] = {"parity": parity.compare(reference.outputs, outputs)}
        if reference.labels:
            details["accuracy"] = accuracy.measure(reference.labels, reference.outputs, outputs, self.metric)
        return details

    def narrowed(self, count: int, folder: Path) -> CandidateJudge:
        """The same on at most `count` samples, spread over the classes; they are written to `folder`."""
        reference = self.reference
        total = len(next(iter(reference.outputs.values())))
        if count >= total:
            return self
        chosen = sampling.choose(reference.labels, total, count)
        (feeds,) = sampling.rows(reference.batches(), chosen, len(chosen))
        path = folder / "samples.npz"
        save(path, feeds)
        fewer = replace(
            reference,
            data=RepresentativeDataset(path),
            outputs=_rows(reference.outputs, chosen),
            labels=_rows(reference.labels, chosen),
            limit=None,
        )
        return replace(self, reference=fewer)

    @property
    def samples(self) -> int:
        """How many samples a file is judged by."""
        return len(next(iter(self.reference.outputs.values())))


def _rows(arrays: Mapping[str, Any], chosen: Any) -> Batch:
    return {name: np.asarray(array)[chosen] for name, array in arrays.items()}


def figures(details: Json) -> dict[str, Any]:
    """What a search looks at: SQNR in dB and agreement of the worst output, the metric's value and its drop.

    `drop` is positive where the file is worse, in the metric's unit (shares: 0 to 1); None without labels.
    """
    worst, found = parity.worst(details["parity"]), details.get("accuracy") or {}
    return {
        "sqnr_db": worst["sqnr_db"],
        "agreement": worst["agreement"],
        "value": found.get("value"),
        "drop": found.get("drop"),
        "metric": found.get("metric"),
        "share": found.get("share"),
    }


def gate(artifact: Artifact, recipe: str, details: Json, budget: Budget) -> list[Check]:
    """The gate's own checks of what the outputs are worth, as it will make them of the finished artifact."""
    item = {"id": artifact.id, "variant": artifact.variant, "steps": [{"name": step.name} for step in artifact.steps]}
    manifest = {
        "artifacts": [item],
        "server_model": {"outputs": [{"name": name} for name in details["parity"]]},
        "config": {"variants": [{"name": artifact.variant, "quantize": recipe}]},
    }
    measurement = {"runtime": "", "metrics": [], "details": details}
    subject = JudgedMeasurement(manifest, item, measurement, budget.of(artifact.id))
    return [*checks.outputs(subject), *checks.accuracy(subject)]


def latency_ratio(path: Path, base: Path, seconds: float = 1.0) -> latency.Ratio:
    """The latency of a `.tflite` to another's, run in turn on one thread at batch 1; no value where the machine is busy."""
    state = host_noise.check()
    if not state.stable:
        return latency.no_ratio(state.unstable_reason)
    runtime = registry.for_format("tflite")[0].name
    return compare_latency(lambda: open_session(runtime, path), lambda: open_session(runtime, base), seconds)
