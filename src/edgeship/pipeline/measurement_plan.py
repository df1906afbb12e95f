"""Which artifact is measured on which runtime of which device, and against which other one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeship import untrusted
from edgeship.benchmarks.measure import on_devices, on_host
from edgeship.bundle.figures import Measurement
from edgeship.bundle.manifest import ArtifactEntry
from edgeship.devices import profiles
from edgeship.errors import InputError
from edgeship.progress import Progress
from edgeship.runtimes import registry
from edgeship.settings import config
from edgeship.settings.variants import FOR_LITERT_JS
from edgeship.storage import digest
from edgeship.types import Artifact


def measure(
    bench: on_host.Benchmark, subjects: Mapping[str, on_host.MeasuredArtifact], settings: config.Config
) -> list[Measurement]:
    """Every artifact on every device: first, alone, where times are taken, then all others side by side."""
    found: list[list[Measurement]] = []
    jobs: dict[int, on_devices.Job] = {}
    for subject in subjects.values():
        for device in map(profiles.find, settings.benchmark.devices):
            runtimes = _runtimes(subject.artifact, device, settings)
            if on_devices.belongs(device):
                jobs[len(found)] = on_devices.Job(subject, runtimes, device)
                found.append([])
            else:
                found.append(
                    [bench.measure(subject, item, device, _base(bench, subjects, subject, item)) for item in runtimes]
                )
    for index, measured in zip(jobs, on_devices.measure_all(bench, list(jobs.values())), strict=True):
        found[index] = measured
    return [measurement for measured in found for measurement in measured]


def _base(
    bench: on_host.Benchmark,
    subjects: Mapping[str, on_host.MeasuredArtifact],
    subject: on_host.MeasuredArtifact,
    runtime: registry.Runtime,
) -> on_host.MeasuredArtifact | None:
    """What latency is compared with: the float32 artifact of the format, or the plain one that the runtime takes instead."""
    usual, name = bench.bases.get(subject.artifact.format), subject.artifact.format
    if usual and not runtime.refuses(usual.artifact):
        return usual
    plain = {"export", f"convert.{name}"}
    fitting = (
        item
        for item in subjects.values()
        if item.artifact.format == name and {step.name for step in item.artifact.steps} == plain
    )
    return next((item for item in fitting if not runtime.refuses(item.artifact) and not item.without_latency), None)


def advise(progress: Progress, subjects: Mapping[str, on_host.MeasuredArtifact], settings: config.Config) -> None:
    """Where LiteRT.js was asked for and takes none of the artifacts: which lines make some that it takes."""
    given = [item.artifact for item in subjects.values() if item.artifact.format == "tflite"]
    asked = {
        runtime.name: runtime
        for artifact in given
        for device in map(profiles.find, settings.benchmark.devices)
        for runtime in _runtimes(artifact, device, settings)
    }
    runtime = asked.get("litert-web")
    if runtime and all(map(runtime.refuses, given)):
        progress.note(
            "litert-web takes none of these .tflite files; these lines in the configuration make two that it takes:",
            FOR_LITERT_JS,
        )


def subject(root: Path, item: ArtifactEntry) -> on_host.MeasuredArtifact:
    """An artifact under the digest of what lies there, not of what the manifest says: its figures are cached by it."""
    if item.receipt is None:
        raise InputError(
            f"{untrusted.printable(root)}: its manifest has no receipt of {item.id}; convert the model again"
        )
    artifact = item.within(root)
    return on_host.MeasuredArtifact(artifact, digest.of_path(place(artifact)), item.receipt)


def _runtimes(artifact: Artifact, device: profiles.Device, settings: config.Config) -> list[registry.Runtime]:
    """The device's runtimes that take the artifact; without any named, those asked for, or the usual one of its format."""
    wanted = [registry.find(name) for name in device.runtimes or settings.benchmark.runtimes]
    fitting = [runtime for runtime in wanted if artifact.format in runtime.formats]
    return fitting if fitting or device.runtimes else [registry.for_format(artifact.format)[0]]


def place(artifact: Artifact) -> Path:
    """What an artifact consists of: its file, or the folder around a TF.js model."""
    return artifact.path.parent if artifact.format == "tfjs" else artifact.path
