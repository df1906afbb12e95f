"""Which artifact is measured on which runtime of which device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeship import untrusted
from edgeship.benchmarks.measure import driver
from edgeship.benchmarks.measure.benchmark import Benchmark, MeasuredArtifact
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import ArtifactEntry
from edgeship.devices import profiles
from edgeship.errors import InputError
from edgeship.formats import formats
from edgeship.progress import Progress
from edgeship.runtimes import registry
from edgeship.settings import config
from edgeship.settings.variants import FOR_LITERT_JS
from edgeship.storage import digest
from edgeship.types import Artifact


def measure_artifacts(
    bench: Benchmark, subjects: Mapping[str, MeasuredArtifact], settings: config.Config
) -> list[Measurement]:
    """Every artifact on every device of the settings."""
    bench.subjects = subjects
    devices = [profiles.find_device(name) for name in settings.benchmark.devices]
    jobs = [
        driver.Job(subject, _choose_runtimes(subject.artifact, device, settings), device)
        for subject in subjects.values()
        for device in devices
    ]
    return [measurement for measurements in driver.measure_all(bench, jobs) for measurement in measurements]


def advise_litert_js(progress: Progress, subjects: Mapping[str, MeasuredArtifact], settings: config.Config) -> None:
    """Where LiteRT.js was asked for and takes none of the artifacts: which lines make some that it takes."""
    artifacts = [item.artifact for item in subjects.values() if item.artifact.format == "tflite"]
    runtimes = {
        runtime.name: runtime
        for artifact in artifacts
        for device in map(profiles.find_device, settings.benchmark.devices)
        for runtime in _choose_runtimes(artifact, device, settings)
    }
    runtime = runtimes.get("litert-web")
    if runtime and all(map(runtime.refusal, artifacts)):
        progress.note(
            "litert-web takes none of these .tflite files; these lines in the configuration make two that it takes:",
            FOR_LITERT_JS,
        )


def measured_artifact(root: Path, item: ArtifactEntry) -> MeasuredArtifact:
    """An artifact under the digest of what lies there, not of what the manifest says: its figures are cached by it."""
    if item.receipt is None:
        raise InputError(
            f"{untrusted.printable(root)}: its manifest has no receipt of {item.id}; convert the model again"
        )
    artifact = item.within(root)
    return MeasuredArtifact(artifact, digest.of_path(artifact_place(artifact)), item.receipt)


def _choose_runtimes(artifact: Artifact, device: profiles.Device, settings: config.Config) -> list[registry.Runtime]:
    """The device's runtimes that take the artifact; without any named, those asked for, or the usual one of its format."""
    runtimes = [registry.find(name) for name in device.runtimes or settings.benchmark.runtimes]
    fitting = [runtime for runtime in runtimes if artifact.format in runtime.formats]
    return fitting if fitting or device.runtimes else [registry.for_format(artifact.format)[0]]


def artifact_place(artifact: Artifact) -> Path:
    """What an artifact consists of: its file, or the folder around it."""
    return formats.find(artifact.format).place(artifact.path)
