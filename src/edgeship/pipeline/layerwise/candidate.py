"""Judging one file after another by the same samples: for a search over many variants of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.gate import quality_checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import JudgedMeasurement, is_only_converted
from edgeship.benchmarks.gate.noise_floor import PeerNoise
from edgeship.benchmarks.measure import host_noise, latency, sampling
from edgeship.benchmarks.measure.benchmark import Reference, batch_size
from edgeship.benchmarks.measure.latency_ratio import compare_latency
from edgeship.benchmarks.measure.quality import NO_LABELS
from edgeship.bundle.figures.comparisons import AccuracyReport, CandidateFigures
from edgeship.bundle.figures.measurement import Measurement, MeasurementDetails
from edgeship.bundle.metric import Metric
from edgeship.bundle.verdict import Check
from edgeship.data import Array, Batch, RepresentativeDataset, save
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.runtimes.worker_pool import Pool
from edgeship.settings.sections import MetricChoice
from edgeship.types import Artifact, Availability

RESERVE_DB = 3.0  # half the noise


@dataclass(frozen=True)
class CandidateJudge:
    """How files are judged: the server model's answers, the metric, and workers that are kept from file to file."""

    reference: Reference
    metric: MetricChoice
    pool: Pool

    def judge(self, path: Path, artifact_format: str = "tflite", *, intervals: bool = True) -> MeasurementDetails:
        """`parity` and, with labels, `accuracy` of a file as `benchmark` takes them. Raises ProcessError where it fails.

        Without `intervals` there are the figures only, by which layers are ranked.
        """
        runtime = registry.for_format(artifact_format)[0].name
        reference = self.reference
        with open_session(runtime, path, threads=os.cpu_count(), pool=self.pool) as session:
            outputs = session.evaluate(reference.batches(), batch_size(reference.inputs))
        compared = parity.compare(reference.outputs, outputs)
        if not reference.labels:
            return MeasurementDetails(parity=compared)
        report = accuracy.measure(
            reference.labels, reference.outputs, outputs, self.metric, reference.groups, intervals=intervals
        )
        return MeasurementDetails(parity=compared, accuracy=report)

    def narrow(self, count: int, folder: Path) -> CandidateJudge:
        """The same on at most `count` samples, spread over the classes; they are written to `folder`."""
        reference = self.reference
        total = len(next(iter(reference.outputs.values())))
        if count >= total:
            return self
        chosen = sampling.choose_samples(reference.labels, total, count)
        (feeds,) = sampling.select_rows(reference.batches(), chosen, len(chosen))
        path = folder / "samples.npz"
        save(path, feeds)
        fewer = replace(
            reference,
            data=RepresentativeDataset(path),
            outputs=_rows(reference.outputs, chosen),
            labels=_rows(reference.labels, chosen),
            limit=None,
            groups=None if reference.groups is None else reference.groups[chosen],
        )
        metrics = (
            accuracy.settle_metrics(reference.labels, reference.outputs, self.metric)
            if reference.labels
            else self.metric
        )
        return replace(self, reference=fewer, metric=metrics)

    @property
    def samples(self) -> int:
        """How many samples a file is judged by."""
        return len(next(iter(self.reference.outputs.values())))


def _rows(arrays: Mapping[str, Array], chosen: Array) -> Batch:
    return {name: np.asarray(array)[chosen] for name, array in arrays.items()}


def figures(details: MeasurementDetails, output: str = "") -> CandidateFigures:
    """What a search looks at: SQNR in dB and agreement, the metric's value and its drop; of the worst outputs, or of `output`."""
    compared, report = details.parity or {}, details.accuracy
    if output in compared:
        compared = {output: compared[output]}
        report = AccuracyReport.of_outputs(report.outputs, output) if report and output in report.outputs else None
    worst = parity.worst_figures(compared)
    noises = {name: item.sqnr_db for name, item in compared.items() if item.sqnr_db is not None}
    noisiest = min(noises, key=lambda name: noises[name], default="")
    result = CandidateFigures(worst["sqnr_db"], worst["agreement"], output=noisiest)
    if report is None:
        return result
    return replace(
        result, value=report.value, drop=report.drop, metric=report.metric, share=report.share, output=report.output
    )


def gate(
    artifact: Artifact,
    recipe: str,
    details: MeasurementDetails,
    budget: Budget,
    peers: Mapping[str, PeerNoise] | None = None,
) -> list[Check]:
    """The gate's own checks of what the outputs are worth, as it will make them of the finished artifact.

    `peers`: see `JudgedMeasurement`.
    """
    missing = (
        () if details.accuracy else (Metric("accuracy", None, "", availability=Availability.NO_DATA, reason=NO_LABELS),)
    )
    subject = JudgedMeasurement(
        Measurement(artifact.id, "", "", missing, details),
        budget.for_artifact(artifact.id),
        recipe if is_only_converted(artifact.steps) else None,
        tuple(details.parity or {}),
        peers=peers or {},
    )
    return [*quality_checks.check_outputs(subject), *quality_checks.check_accuracy(subject)]


def find_narrow_passes(details: MeasurementDetails, checks: Sequence[Check], budget: Budget) -> list[str]:
    """Why a PASS might be none on other samples, in words: what is chosen on the samples that judge it looks better than it is.

    A drop, or an agreement, has room where it lies two half-widths of its interval from its limit, so that as many other
    samples decide the same way; noise where it is RESERVE_DB from its floor.
    """
    narrow = [
        f"{check.check}: {check.value:.1f} dB is next to the {check.limit:.3g} dB that are wanted"
        for check in checks
        if check.unit == "dB"
        and None not in (check.value, check.limit)
        and _is_near(check.value or 0, check.limit or 0)
    ]
    agreements = {check.check for check in checks if check.check.startswith("agreement")}
    for name, compared in (details.parity or {}).items():
        value, low, least = compared.agreement, compared.agreement_low, budget.min_agreement
        if not agreements & {"agreement", f"agreement:{name}"} or value is None or low is None or least is None:
            continue
        if low - (value - low) < least <= low:
            narrow.append(f"agreement: {value:.2%} passes, with too little room for other samples")
    report = details.accuracy
    for output in ((report.outputs or {report.output: report}) if report else {}).values():
        margin = None if output.server is None else budget.margin(output.server, output.share)
        if output.drop is None or output.high is None or margin is None:
            continue
        if output.high <= margin < output.high + (output.high - output.drop):
            narrow.append(f"{output.metric}: its drop passes, with too little room for other samples")
    return narrow


def _is_near(sqnr_db: float, floor: float) -> bool:
    return floor <= sqnr_db < floor + RESERVE_DB


def latency_ratio(path: Path, base: Path, seconds: float = 1.0, file_format: str = "tflite") -> latency.Ratio:
    """The latency of a file to another's, run in turn on one thread at batch 1; no value where the machine is busy."""
    state = host_noise.check_host()
    if not state.stable:
        return latency.no_ratio(state.unstable_reason)
    runtime = registry.for_format(file_format)[0].name
    return compare_latency(lambda: open_session(runtime, path), lambda: open_session(runtime, base), seconds)
