"""What every figure is taken with: the artifact and where it runs, what it is compared with, the cache and the progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.benchmarks.measure import host_noise
from edgeship.bundle.figures.measurement import ArtifactSizes, MeasurementDetails
from edgeship.bundle.metric import Metric
from edgeship.bundle.receipt import Receipt
from edgeship.data import Array, Batch, RepresentativeDataset
from edgeship.devices.profiles import Device
from edgeship.light_dataclass import dataclass
from edgeship.progress import Progress
from edgeship.runtimes.launchers.launcher import Launcher
from edgeship.runtimes.registry import Runtime
from edgeship.runtimes.session import Session
from edgeship.runtimes.worker_pool import Pool
from edgeship.settings.sections import MetricChoice
from edgeship.storage.cache import Cache, Entry
from edgeship.types import METADATA, Artifact, TensorSpec

BATCH_BYTES = 8 << 20
BATCH_LIMIT = 256
NO_DATA = "no evaluation data was given (evaluation in [data], ship --evaluation, benchmark --data)"
NO_SERVER_MODEL = "the server model needs TensorFlow, which is not installed: pip install 'edgeship[tensorflow]'"
NOT_RUN = "not run: "  # how a reason begins where nothing was started


@dataclass(frozen=True)
class FigureResult:
    """The metrics of a figure, and what a measurement's details keep beside them."""

    metrics: Sequence[Metric] = ()
    details: MeasurementDetails = field(default_factory=MeasurementDetails)

    def join(self, other: FigureResult) -> FigureResult:
        """Both: where each has a part of the details, the other's counts."""
        values = {item.name: getattr(other.details, item.name) for item in fields(other.details)}
        details = replace(self.details, **{name: value for name, value in values.items() if value is not None})
        return FigureResult((*self.metrics, *other.metrics), details)


@dataclass(frozen=True)
class Reference:
    """The server model's outputs on the evaluation data, with that data; labels may be empty.

    `groups` (n,) are the parts of the samples that the budget holds to its margin each. `answers`: the files of artifacts' own
    outputs by their id, once these were measured.
    """

    data: RepresentativeDataset
    inputs: tuple[TensorSpec, ...]
    outputs: Mapping[str, Array]
    labels: Mapping[str, Array]
    limit: int | None
    digest: str
    groups: Array | None = None
    answers: Mapping[str, Path] = field(default_factory=dict)

    def batches(self) -> Iterator[Batch]:
        """The evaluation inputs in batches that fill the caches of no one."""
        return self.data.feeds(self.inputs, batch_size(self.inputs), self.limit)

    @property
    def samples(self) -> int:
        """How many samples the server model has answered."""
        return len(next(iter(self.outputs.values())))


@dataclass(frozen=True)
class Settings:
    """What decides how figures are taken, beside the artifact and the reference.

    Times that the cache says the machine was too busy for are taken again where it is quiet now; with `retry` that is waited for.
    `figures`: only these of those that a device has; None: all.
    """

    profile: str
    metric: MetricChoice = field(default_factory=MetricChoice)
    retry: bool = False
    figures: frozenset[str] | None = None


@dataclass(frozen=True)
class MeasuredArtifact:
    """An artifact to measure: its digest names it in cache keys."""

    artifact: Artifact
    digest: str
    receipt: Receipt

    @property
    def latency_exclusion_reason(self) -> str | None:
        """Why nothing is told of what an inference costs: a file made for many samples has no cost of one."""
        made_for = [step.recipe.get("static_batch") or 1 for step in self.artifact.steps if step.name == "export"]
        if not self.artifact.steps:  # a stranger's file: its inputs tell
            made_for = [spec.shape[0] or 1 for spec in self.artifact.inputs if spec.shape]
        at_once = max(made_for, default=1)
        return f"{self.artifact.id} takes {at_once} samples at once: no cost of one inference" if at_once > 1 else None


@dataclass(frozen=True)
class Target:
    """An artifact on one runtime of one device."""

    subject: MeasuredArtifact
    runtime: Runtime
    launcher: Launcher

    @property
    def device(self) -> Device:
        """The device's profile."""
        return self.launcher.device

    @property
    def place(self) -> str:
        """What progress calls it: the device, or the runtime where that is all that tells this machine's apart."""
        return self.device.name if self.launcher.compared_with_host else self.runtime.name

    def key(self) -> dict[str, Any]:
        """What every figure depends on, for cache keys."""
        identity = self.launcher.identity(self.runtime.name)
        bridge = self.subject.artifact.bridge
        key = {"artifact": self.subject.digest, "runtime": identity, "device": self.device}
        return {**key, "bridge": bridge} if bridge else key

    def open(
        self, *, timed: bool, threads: int | None, sample: Batch | None = None, pool: Pool | None = None
    ) -> Session:
        """The artifact in a worker there; the parameters and errors are those of `Launcher.open`."""
        artifact = self.subject.artifact
        return self.launcher.open(
            self.runtime.name,
            artifact.path,
            timed=timed,
            threads=threads,
            sample=sample,
            pool=pool,
            bridge=artifact.bridge,
        )


def batch_size(inputs: Sequence[TensorSpec]) -> int:
    """How many samples go through an artifact at once: at most 256, and at most 8 MB of inputs."""
    sample = sum(int(np.prod([s or 1 for s in spec.shape[1:]])) * np.dtype(spec.dtype).itemsize for spec in inputs)
    return max(1, min(BATCH_LIMIT, BATCH_BYTES // max(sample, 1)))


def evaluation_batch(receipt: Receipt | None, inputs: Sequence[TensorSpec]) -> int:
    """How many samples an artifact is asked at once, of which its answers do not depend (`batch_size`, most often).

    One, as times are taken, where a batch has one range for the activations of all samples: ONNX Runtime's dynamic
    quantization. Tables with heavy tails lost 3 points in batches of 256, and 0.1 alone.
    """
    return 1 if receipt and "DynamicQuantizeLinear" in receipt.ops else batch_size(inputs)


class Benchmark:
    """What the figures of one run share.

    Its maker sets `no_reference_reason` (why there is no reference, where there is none), `sample` (what times are taken on:
    an axis without a fixed size has that of real inputs), and `subjects` (all artifacts of the run by id).
    """

    def __init__(self, cache: Cache, progress: Progress, settings: Settings, reference: Reference | None) -> None:
        self.cache, self.progress, self.settings, self.reference = cache, progress, settings, reference
        self.no_reference_reason = NO_DATA
        self.sample: Batch | None = None
        self.subjects: Mapping[str, MeasuredArtifact] = {}
        self.pool: Pool | None = None
        self.host_waiter = host_noise.QuietHostWaiter()
        self.sizes: dict[str, ArtifactSizes] = {}  # by the artifacts' digests
        self.sizes_lock = threading.Lock()
        self.outputs: dict[str, Path] = {}  # what artifacts answered on this machine, by their id

    def cache_result(self, what: str, step: str, key: Mapping[str, Any], make: Callable[[Path], Any]) -> Entry:
        """What `make(folder)` returns and writes, kept by content, with a line of progress that says `what`."""
        with self.progress.step(what) as remarks:
            entry = self.cache.get(step, key, make, self._is_usable)
            remarks.extend(["cached"] if entry.hit else [])
        return entry

    def _is_usable(self, result: Any) -> bool:
        """Whether a cached result need not be taken again: times that a busy machine withheld may be."""
        withheld = isinstance(result, dict) and result.get("busy")
        return not withheld or not (self.settings.retry or self._host.stable)

    def busy_now(self, entry: Entry, busy: str) -> str:
        """Why times are withheld: what a cached result says is of an earlier moment, and the machine was looked at again."""
        return self._host.unstable_reason if entry.hit and busy else busy

    @cached_property
    def _host(self) -> host_noise.HostState:
        """How this machine is, by one look for the whole run: it takes a fifth of a second."""
        return self.host_waiter.look()

    def float_base(self, subject: MeasuredArtifact) -> MeasuredArtifact | None:
        """The float32 artifact of a subject's format."""
        artifacts = (item for item in self.subjects.values() if item.artifact.variant == "float32")
        return next((item for item in artifacts if item.artifact.format == subject.artifact.format), None)

    def latency_base(self, target: Target) -> MeasuredArtifact | None:
        """What latency is compared with: the float32 artifact of the format, or the plain one that the runtime takes instead."""
        usual, name, runtime = self.float_base(target.subject), target.subject.artifact.format, target.runtime
        if usual and not runtime.refusal(usual.artifact):
            return usual
        plain = {"export", f"convert.{name}"}
        fitting = (
            item
            for item in self.subjects.values()
            if item.artifact.format == name and {step.name for step in item.artifact.steps} - {METADATA} == plain
        )
        return next(
            (item for item in fitting if not runtime.refusal(item.artifact) and item.latency_exclusion_reason is None),
            None,
        )
