"""Takes every figure of every artifact: sizes, quality against the server model, speed and memory in fresh processes.

What could not be measured is a metric without a value that says why: nothing is left out, nothing is made up.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.measure import host_noise, latency, size
from edgeship.benchmarks.measure.latency_ratio import compare_latency
from edgeship.bundle.figures import (
    FormatParity,
    Measurement,
    MeasurementDetails,
    Metric,
    ServerAccuracy,
    missing_metrics,
)
from edgeship.bundle.receipt import Receipt
from edgeship.data import Array, Batch, RepresentativeDataset, arrays_digest, load, save
from edgeship.devices import machine
from edgeship.devices.profiles import Device
from edgeship.errors import EdgeshipError, InputError
from edgeship.progress import Progress
from edgeship.runtimes.browser import options
from edgeship.runtimes.launchers import find_launcher
from edgeship.runtimes.registry import Runtime
from edgeship.runtimes.session import Session, open_session
from edgeship.runtimes.worker_pool import Pool
from edgeship.storage.cache import Cache
from edgeship.typed_json import convert
from edgeship.types import Artifact, Availability, TensorSpec, to_json

BATCH_BYTES = 8 << 20
BATCH_LIMIT = 256
OUTPUTS = "outputs.npz"
KEPT_BYTES = 64 << 20  # of an artifact's outputs, to be compared with another's
NO_DATA = "no evaluation data was given (evaluation in [data], ship --evaluation, benchmark --data)"
NO_SERVER_MODEL = "the server model needs TensorFlow, which is not installed: pip install 'edgeship[tensorflow]'"
NO_LABELS = "the evaluation data has no labels (an array y)"
NOT_RUN = "not run: "  # how a reason begins where nothing was started

QUALITY = {
    "accuracy": "share",
    "accuracy_server": "share",
    "accuracy_drop": "share",
    "ece": "share",
    "ece_server": "share",
    "flips": "samples",
}
PARITY = {"agreement": "share", "max_abs_error": "", "mean_abs_error": "", "cosine": "", "sqnr_db": "dB"}
SPEED = {
    **dict.fromkeys(("load_ms", "first_inference_ms", "latency_p50_ms", "latency_p90_ms", "latency_p99_ms"), "ms"),
    **dict.fromkeys(("latency_mean_ms", "latency_min_ms", "latency_p90_early_stopping_ms"), "ms"),
    "peak_memory_bytes": "bytes",
}


@dataclass(frozen=True)
class Reference:
    """The server model's outputs on the evaluation data, with that data; labels may be empty."""

    data: RepresentativeDataset
    inputs: tuple[TensorSpec, ...]
    outputs: Mapping[str, Array]
    labels: Mapping[str, Array]
    limit: int | None
    digest: str

    def batches(self) -> Iterator[Batch]:
        """The evaluation inputs in batches that fill the caches of no one."""
        return self.data.feeds(self.inputs, batch_size(self.inputs), self.limit)


@dataclass(frozen=True)
class Settings:
    """What decides how figures are taken, beside the artifact and the reference.

    `retry` takes times again that the cache says the machine was too busy for.
    """

    profile: str
    metric: str | None = None
    retry: bool = False


@dataclass(frozen=True)
class MeasuredArtifact:
    """An artifact to measure: its digest names it in cache keys."""

    artifact: Artifact
    digest: str
    receipt: Receipt

    @property
    def without_latency(self) -> str:
        """Why nothing is told of what an inference costs, or an empty text: a file made for many samples has none of one."""
        made_for = [step.recipe.get("static_batch") or 1 for step in self.artifact.steps if step.name == "export"]
        at_once = max(made_for, default=1)
        return f"{self.artifact.id} takes {at_once} samples at once: no cost of one inference" if at_once > 1 else ""


def batch_size(inputs: Sequence[TensorSpec]) -> int:
    """How many samples go through an artifact at once: at most 256, and at most 8 MB of inputs."""
    sample = sum(int(np.prod([s or 1 for s in spec.shape[1:]])) * np.dtype(spec.dtype).itemsize for spec in inputs)
    return max(1, min(BATCH_LIMIT, BATCH_BYTES // max(sample, 1)))


def server_figures(reference: Reference, metric: str | None) -> ServerAccuracy:
    """The server model's own accuracy. Raises InputError where the labels do not fit its outputs."""
    report = accuracy.measure(reference.labels, reference.outputs, reference.outputs, metric)
    return ServerAccuracy(**{item.name: getattr(report, item.name) for item in fields(ServerAccuracy)})


class Benchmark:
    """Measures subjects one after the other: nothing else of edgeship runs while times are taken."""

    def __init__(self, cache: Cache, progress: Progress, settings: Settings, reference: Reference | None) -> None:
        self.cache, self.progress, self.settings, self.reference = cache, progress, settings, reference
        self.without_reference = NO_DATA  # why there is none, where there is none
        self.pool: Pool | None = None
        self._sizes: dict[str, dict[str, int]] = {}
        self._weighing = threading.Lock()
        self._patience = host_noise.QuietHostWaiter()
        self.bases: Mapping[str, MeasuredArtifact] = {}  # the float32 artifact of each format
        self.sample: Batch | None = (
            None  # what times are taken on: an axis without a fixed size has that of real inputs
        )
        self._outputs: dict[str, Path] = {}  # what artifacts answered on this machine, by their id

    def measure(
        self, subject: MeasuredArtifact, runtime: Runtime, device: Device, base: MeasuredArtifact | None
    ) -> Measurement:
        """All figures that a device gives of one artifact on one runtime.

        `base` is the float32 artifact that latency is compared with.
        """
        metrics, details = self.size(subject)
        taken: list[Metric] = []
        if reason := _misplaced(subject, runtime, device) or runtime.unavailable():
            names = [*QUALITY, *PARITY, *SPEED, "latency_ratio"]
            taken += missing_metrics(dict.fromkeys(names, ""), Availability.NOT_RUN, f"{NOT_RUN}{reason}")
        else:
            for figure in device.figures:
                more, told = {"quality": self._quality, "speed": self.speed}[figure](subject, runtime, device)
                taken += more
                details |= told
            if base and base.digest != subject.digest and "speed" in device.figures:
                metric, told = self._ratio(subject, base, runtime, device)
                taken.append(metric)
                details |= told
        metrics += [replace(metric, kind=device.kind) for metric in taken]
        return Measurement(
            subject.artifact.id, runtime.name, device.name, tuple(metrics), convert(MeasurementDetails, details)
        )

    def cached(self, what: str, step: str, key: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """What `make` returns, kept by content, with a line of progress that says `what`."""
        with self.progress.step(what) as remarks:
            entry = self.cache.get(step, key, lambda _: make(), self._usable)
            remarks.extend(["cached"] if entry.hit else [])
        return entry.result

    def _usable(self, result: Any) -> bool:
        """Whether a cached result need not be taken again: times that a busy machine withheld may be."""
        return not (self.settings.retry and isinstance(result, dict) and result.get("busy"))

    def size(self, subject: MeasuredArtifact) -> tuple[list[Metric], dict[str, Any]]:
        """What an artifact weighs, wherever it runs: found once, however many devices it runs on."""
        with self._weighing:
            if subject.digest not in self._sizes:
                key, path = {"artifact": subject.digest}, subject.artifact.path
                what = f"{subject.artifact.id}: size"
                self._sizes[subject.digest] = self.cached(what, "size", key, lambda: size.measure(path))
            found = self._sizes[subject.digest]
        metrics = [Metric(f"size_{kind}_bytes", found[kind], "bytes") for kind in ("disk", "gzip", "brotli")]
        metrics.append(Metric("parameters", subject.receipt.weights.elements, "values"))
        return metrics, {"size": found, "content": subject.digest}

    def _quality(
        self, subject: MeasuredArtifact, runtime: Runtime, device: Device
    ) -> tuple[list[Metric], dict[str, Any]]:
        """Accuracy with labels, parity without; both from one run over the evaluation data on all cores."""
        units = {**QUALITY, **PARITY}
        if self.reference is None:
            return missing_metrics(units, Availability.NO_DATA, self.without_reference), {}
        reference = self.reference
        key = {
            "artifact": subject.digest,
            "runtime": runtime.identity(),
            "device": device,
            "reference": reference.digest,
            "data": reference.data.digest,
            "limit": reference.limit,
            "metric": self.settings.metric,
        }
        what = f"{subject.artifact.id} on {runtime.name}: accuracy and parity"

        def make(folder: Path) -> dict[str, Any]:
            details, outputs = _evaluate(subject, runtime, device, reference, self.settings.metric)
            if sum(array.nbytes for array in outputs.values()) <= KEPT_BYTES:
                save(folder / OUTPUTS, outputs)
            return details

        try:
            with self.progress.step(what) as remarks:
                entry = self.cache.get("quality", key, make)
                remarks.extend(["cached"] if entry.hit else [])
            details = entry.result
            if OUTPUTS in entry.files and device.how == "direct":
                self._outputs.setdefault(subject.artifact.id, entry.path / OUTPUTS)
        except InputError:
            raise
        except EdgeshipError as error:
            return missing_metrics(units, Availability.FAILED, str(error)), {}
        return quality_metrics(convert(MeasurementDetails, details)), details

    def between_formats(self, artifacts: Sequence[str]) -> list[FormatParity]:
        """How near the `.onnx` of each variant is to its `.tflite`: their parity per output, on the evaluation data.

        Of artifacts that were run on this machine and whose outputs are small enough to be kept.
        """
        variants = dict.fromkeys(name.partition("/")[2] for name in artifacts)
        pairs = [(f"onnx/{variant}", f"tflite/{variant}") for variant in variants]
        return [
            FormatParity(ours, theirs, parity.compare(*(load(self._outputs[name]) for name in (theirs, ours))))
            for ours, theirs in pairs
            if ours in self._outputs and theirs in self._outputs
        ]

    def speed(
        self, subject: MeasuredArtifact, runtime: Runtime, device: Device, identity: Sequence[str | None] | None = None
    ) -> tuple[list[Metric], dict[str, Any]]:
        """Load, latency and memory; `identity` is what a device's runtime is known by where it is not this machine's."""
        key = {
            "artifact": subject.digest,
            "runtime": identity or runtime.identity(),
            "profile": self.settings.profile,
            "device": device,
            "machine": machine.describe(),
            "sample": arrays_digest(self.sample or {}),
        }
        what = f"{subject.artifact.id} on {runtime.name}: load, latency, memory"

        def make() -> dict[str, Any]:
            withheld = subject.without_latency or self._patience.wait()
            return _time(subject, runtime, device, self.settings.profile, self.sample, withheld)

        try:
            found = self.cached(what, "speed", key, make)
        except EdgeshipError as error:
            found = {"metrics": {}, "latency": {}, "memory": {}, "busy": str(error), "failed": True}
        reason = found["busy"] or "too few queries for an estimate"
        availability = _time_availability(subject, found)
        reasons = {"peak_memory_bytes": found["memory"].get("method")}  # a system that does not tell it
        metrics = []
        for name, unit in SPEED.items():
            value = found["metrics"].get(name)
            if value is not None:
                metrics.append(Metric(name, value, unit))
            elif reasons.get(name):
                metrics.append(Metric(name, None, unit, availability=Availability.UNDEFINED, reason=reasons[name]))
            else:
                metrics.append(Metric(name, None, unit, availability=availability, reason=reason))
        return metrics, {"latency": found["latency"] or None, "memory": found["memory"] or None}

    def _ratio(
        self, subject: MeasuredArtifact, base: MeasuredArtifact, runtime: Runtime, device: Device
    ) -> tuple[Metric, dict[str, Any]]:
        if reason := subject.without_latency or base.without_latency:
            return Metric("latency_ratio", None, "x", availability=Availability.UNDEFINED, reason=reason), {}
        key = {
            "artifact": subject.digest,
            "base": base.digest,
            "runtime": runtime.identity(),
            "profile": self.settings.profile,
            "device": device,
            "machine": machine.describe(),
            "sample": arrays_digest(self.sample or {}),
        }
        what = f"{subject.artifact.id} on {runtime.name}: against {base.artifact.id}, in turn"
        try:
            found = self.cached(
                what,
                "ratio",
                key,
                lambda: _compare(
                    subject, base, runtime, device, self.settings.profile, self.sample, self._patience.wait()
                ),
            )
        except EdgeshipError as error:
            return Metric("latency_ratio", None, "x", availability=Availability.FAILED, reason=str(error)), {}
        availability = Availability.AVAILABLE
        if found["value"] is None:
            availability = Availability.UNSTABLE if found["busy"] else Availability.FAILED
        metric = Metric("latency_ratio", found["value"], "x", availability=availability, reason=found["reason"])
        return metric, {"latency_ratio": {**found, "against": base.artifact.id}}


def _time_availability(subject: MeasuredArtifact, found: Mapping[str, Any]) -> Availability:
    """Why a time is missing, in a word."""
    if found.get("failed"):
        return Availability.FAILED
    return Availability.UNSTABLE if found["busy"] and not subject.without_latency else Availability.UNDEFINED


def _misplaced(subject: MeasuredArtifact, runtime: Runtime, device: Device) -> str:
    """Why an artifact is not run on a device's runtime, or an empty text."""
    if device.how == "browser" and not runtime.in_browser:
        return f"{device.name} is a browser, and {runtime.name} does not run in one"
    return runtime.refuses(subject.artifact)


def _open(
    subject: MeasuredArtifact,
    runtime: Runtime,
    device: Device,
    threads: int | None,
    *,
    timed: bool = True,
    sample: Batch | None = None,
) -> Session:
    """An artifact in a fresh process, as the device has it; where nothing is timed a browser need not be slowed down."""
    wanted = options.of_profile(device.launch, f"device {device.name}, [launch]") if device.how == "browser" else {}
    kept = {key: value for key, value in wanted.items() if timed or key != "throttle"}
    special = device.how == "ssh" or (timed and "cores" in device.launch)
    launch = find_launcher(device).launch(runtime.name) if special else None
    return open_session(
        runtime.name, subject.artifact.path, threads=threads, sample=sample, options=kept, launch=launch
    )


def _evaluate(
    subject: MeasuredArtifact, runtime: Runtime, device: Device, reference: Reference, metric: str | None
) -> tuple[dict[str, Any], Mapping[str, Array]]:
    """Run the evaluation data through an artifact and compare with the server model and the labels; its outputs, too."""
    start = time.perf_counter()
    with _open(subject, runtime, device, os.cpu_count(), timed=False) as session:
        outputs = session.evaluate(reference.batches(), batch_size(reference.inputs))
    seconds = time.perf_counter() - start
    compared = to_json(parity.compare(reference.outputs, outputs))
    details: dict[str, Any] = {"parity": compared, "evaluation_seconds": seconds}
    if reference.labels:
        details["accuracy"] = to_json(accuracy.measure(reference.labels, reference.outputs, outputs, metric))
    return details, outputs


def quality_metrics(details: MeasurementDetails) -> list[Metric]:
    """Accuracy and parity as metrics; a figure that the outputs do not have says why."""
    compared = details.parity or {}
    worst = parity.worst(compared)
    reasons = [item.reason for item in compared.values() if item.reason]
    undefined = reasons[0] if reasons else "the outputs are no answers: a figure of classification"
    metrics = [_metric_or_reason(name, worst[name], unit, undefined) for name, unit in PARITY.items()]
    report = details.accuracy
    if report is None:
        return metrics + missing_metrics(QUALITY, Availability.NO_DATA, NO_LABELS)
    figures = {
        "accuracy": report.value,
        "accuracy_server": report.server,
        "accuracy_drop": report.drop,
        "ece": report.ece,
        "ece_server": report.ece_server,
        "flips": report.flips_total,
    }
    reason = report.reason or f"not defined for {report.metric}"
    units = {name: unit if report.share or unit != "share" else report.metric for name, unit in QUALITY.items()}
    return metrics + [_metric_or_reason(name, figures[name], units[name], reason) for name in QUALITY]


def _metric_or_reason(name: str, value: float | None, unit: str, reason: str) -> Metric:
    """A figure of outputs; one that they do not have is undefined for the reason."""
    if value is None:
        return Metric(name, None, unit, availability=Availability.UNDEFINED, reason=reason)
    return Metric(name, value, unit)


def _time(
    subject: MeasuredArtifact, runtime: Runtime, device: Device, profile: str, sample: Batch | None, busy: str
) -> dict[str, Any]:
    """Load, first inference, steady latency at batch 1, and peak memory, in one fresh process; no times where `busy` says why."""
    wanted = latency.profile(profile)
    with _open(subject, runtime, device, device.threads, sample=sample) as session:
        times = {"load_ms": session.load_ms, "first_inference_ms": session.first_ms}
        if busy:
            memory = session.memory()
            found = {"peak_memory_bytes": memory["peak_bytes"]}
            return {"metrics": found, "latency": {}, "memory": memory, "busy": busy}
        taken = session.latency(wanted.seconds, wanted.queries)
        memory = session.memory()
    summary = latency.summarize(taken["samples_ms"])
    figures = {**times, "peak_memory_bytes": memory["peak_bytes"]}
    figures |= {f"latency_{name}": summary[name] for name in summary if name != "n"}
    if (
        taken.get("early_stopping_p90_ms") is not None
    ):  # LoadGen's own; the loop's is that of `summarize`, by the same rule
        figures["latency_p90_early_stopping_ms"] = taken["early_stopping_p90_ms"]
    described = {
        **summary,
        "histogram": latency.histogram(taken["samples_ms"]),
        "threads": device.threads,
        "profile": profile,
        "runs_on": dict(session.engine),
    }
    described |= {key: value for key, value in taken.items() if key != "samples_ms"}
    return {"metrics": figures, "latency": described, "memory": memory, "busy": ""}


def _compare(
    subject: MeasuredArtifact,
    base: MeasuredArtifact,
    runtime: Runtime,
    device: Device,
    profile: str,
    sample: Batch | None,
    busy: str,
) -> dict[str, Any]:
    """How many times as long the subject takes as its base, for as long as the profile runs one of them."""
    if busy:
        return {**asdict(latency.no_ratio(busy)), "busy": busy}

    def opener(item: MeasuredArtifact) -> Callable[[], Session]:
        return lambda: _open(item, runtime, device, device.threads, sample=sample)

    found = compare_latency(opener(subject), opener(base), latency.profile(profile).seconds / 2)
    return {**asdict(found), "busy": ""}
