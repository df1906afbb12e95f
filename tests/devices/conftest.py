"""Devices without a network: an environment made of this one's packages, and the doctor's small models as artifacts."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgeship.benchmarks.measure import benchmark
from edgeship.bundle.receipt import Receipt
from edgeship.data import RepresentativeDataset, load
from edgeship.devices.profiles import Device
from edgeship.progress import Progress
from edgeship.runtimes.launchers import selfcheck
from edgeship.runtimes.launchers.venv import VenvLauncher
from edgeship.runtimes.session import open_session
from edgeship.storage import digest
from edgeship.storage.cache import Cache
from edgeship.types import Artifact, Kind
from tests.present import present

SAMPLES = 60


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EDGESHIP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def known():
    return load(selfcheck.FILE)


def _old(name: str = "old", runtime: str = "litert", **changes) -> Device:
    launch = {"how": "environment", "requirements": ["ai-edge-litert==2.3.0", "numpy==2.1.0"]}
    return Device(name, "an old runtime", Kind.MEASURED, (runtime,), 1, ("quality",), launch=launch, **changes)


@pytest.fixture
def old():
    return _old


@pytest.fixture
def environment() -> VenvLauncher:
    """An installed environment: its interpreter is this one's, and so are its packages."""
    place = VenvLauncher(_old())
    site = place.folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "here.pth").write_text(here)
    (place.folder / "bin").mkdir()
    place.python.symlink_to(Path(sys.executable).resolve())
    (place.folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    return place


@pytest.fixture
def subject(tmp_path, known) -> benchmark.MeasuredArtifact:
    path = tmp_path / "int8.tflite"
    path.write_bytes(known["tflite_model"].tobytes())
    return _subject(path, "tflite")


def _subject(path: Path, kind: str) -> benchmark.MeasuredArtifact:
    return benchmark.MeasuredArtifact(Artifact(path, kind, "int8", (), ()), digest.of_path(path), Receipt(kind))


@pytest.fixture
def bench(tmp_path, subject) -> benchmark.Benchmark:
    """A bench whose server model is the artifact itself: what a device changes is what is found."""
    random = np.random.default_rng(0)
    with open_session("litert", subject.artifact.path) as session:
        windows = random.normal(size=(SAMPLES, *map(present, session.inputs[0].shape[1:]))).astype(np.float32)
        outputs = session.run({session.inputs[0].name: windows})
        inputs, name = session.inputs, session.inputs[0].name
    labels = outputs[session.outputs[0].name].argmax(axis=-1)
    np.savez(tmp_path / "data.npz", **{name: windows, "y": labels})
    data = RepresentativeDataset(tmp_path / "data.npz")
    real = tuple(type(spec)(spec.name, spec.shape, "float32") for spec in inputs)
    reference = benchmark.Reference(data, real, outputs, {"y": labels}, None, "digest of the server's answers")
    return benchmark.Benchmark(Cache(), Progress(), benchmark.Settings("rapid"), reference)
