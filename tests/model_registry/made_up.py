"""Bundles as a run would write them, from made-up answers: what they say of themselves passes the gate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.benchmarks.measure.quality import quality_metrics
from edgeship.bundle import bundle as bundles
from edgeship.bundle.answers import FOLDER, LABELS, SERVER, answers_file
from edgeship.bundle.figures.comparisons import ServerAccuracy
from edgeship.bundle.figures.measurement import Measurement, MeasurementDetails
from edgeship.bundle.manifest import ArtifactEntry, DataEntry, Manifest, ServerModelEntry
from edgeship.bundle.metric import Metric
from edgeship.bundle.receipt import Receipt
from edgeship.data import save
from edgeship.settings.config import Config
from edgeship.types import Kind, Step, TensorSpec, to_json

Array = np.ndarray[Any, Any]
CLASSES = 5
PATHS = {"tflite/float32": "tflite/float32.tflite", "tflite/int8": "tflite/int8.tflite"}
NOISE = {"tflite/float32": 1e-6, "tflite/int8": 0.02}


def truth_of(samples: int = 2000, seed: int = 0) -> Array:
    """Labels."""
    return np.random.default_rng(seed).integers(CLASSES, size=samples)


def answers_of(truth: Array, right: float | Array, seed: int) -> Array:
    """Probabilities (n, CLASSES) of a model that is right with that probability (of each sample), and sure of it."""
    rng = np.random.default_rng(seed)
    answers = np.where(rng.random(len(truth)) < right, truth, (truth + 1) % CLASSES)
    scores = rng.random((len(truth), CLASSES)).astype(np.float32)
    scores[np.arange(len(truth)), answers] += 4
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_bundle(
    out: Path,
    truth: Array,
    server: Array,
    *,
    name: str = "one",
    noise: Mapping[str, float] | None = None,
    budget: Mapping[str, Any] | None = None,
    data: str = "ab" * 32,
    instructions: float | None = None,
    source: str = "",
) -> Path:
    """A bundle of a server model `name` that gave the answers `server`, and of two artifacts that give nearly the same."""
    model, rng = f"server model {name}".encode(), np.random.default_rng(5)
    settings = Config(budget=dict(budget or {"accuracy": "mlperf98"}))
    with bundles.replace_bundle(out) as draft:
        files = {"server/server.keras": model, **{path: f"{path} of {name}".encode() for path in PATHS.values()}}
        files["report/index.html"] = f"<title>{name}</title>".encode()
        for path, content in files.items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_bytes(content)
        (draft / FOLDER).mkdir()
        save(draft / LABELS, {"y": truth})
        save(draft / answers_file(SERVER), {"scores": server})
        measurements = []
        for artifact, path in PATHS.items():
            spread = (noise or {}).get(artifact, NOISE[artifact])
            outputs = (server + spread * rng.random(server.shape)).astype(np.float32)
            outputs /= outputs.sum(axis=1, keepdims=True)
            save(draft / answers_file(artifact), {"scores": outputs})
            measurements += _measure(artifact, digest_of(files[path]), truth, server, outputs, instructions)
        itself = accuracy.measure({"y": truth}, {"scores": server}, {"scores": server})
        figures = {
            key: getattr(itself, key) for key in ("metric", "share", "higher_is_better", "n", "server", "output")
        }
        manifest = Manifest(
            files=bundles.file_digests(draft),
            artifacts=tuple(
                _artifact(artifact, digest_of(files[path]), digest_of(model)) for artifact, path in PATHS.items()
            ),
            measurements=tuple(measurements),
            created="2026-11-22T15:00:00+00:00",
            labels=tuple(f"class {number}" for number in range(CLASSES)),
            server_model=ServerModelEntry(
                "server/server.keras",
                digest_of(model),
                (_spec("image", 8),),
                (_spec("scores", CLASSES),),
                1000,
                source=source,
            ),
            config=to_json(settings.to_manifest()),
            data={
                "calibration": DataEntry("calibration.npz", "cd" * 32, 100),
                "evaluation": DataEntry("evaluation.npz", data, len(truth)),
            },
            tools={"tensorflow": "2.21.0"},
            machine={"cpu": "none"},
            server_measurement=ServerAccuracy(**figures, outputs={"scores": ServerAccuracy(**figures)}),
        )
        bundles.seal_bundle(draft, replace(manifest, gate=judge(manifest, Budget.parse(settings.budget))))
    return out


def _spec(name: str, size: int) -> TensorSpec:
    return TensorSpec(name, (None, size), "float32")


def _artifact(artifact: str, content: str, source: str) -> ArtifactEntry:
    variant = artifact.partition("/")[2]
    int8 = variant == "int8"
    steps = [Step("export", source), Step("convert.tflite", "22" * 32)]
    steps += [Step("quantize", "33" * 32, {"recipe": "static_w8a8"})] if int8 else []
    receipt = Receipt("tflite", int8_op_share=1.0 if int8 else 0.0)
    edges = (_spec("image", 8),), (_spec("scores", CLASSES),)
    return ArtifactEntry(
        artifact, PATHS[artifact], "tflite", variant, *edges, tuple(steps), content=content, receipt=receipt
    )


def _measure(
    artifact: str, content: str, truth: Array, server: Array, outputs: Array, instructions: float | None
) -> list[Measurement]:
    details = MeasurementDetails(
        content=content,
        parity=parity.compare({"scores": server}, {"scores": outputs}),
        accuracy=accuracy.measure({"y": truth}, {"scores": server}, {"scores": outputs}),
    )
    size = 4000 if artifact.endswith("float32") else 1000
    sizes = [Metric(f"size_{how}_bytes", size, "bytes") for how in ("disk", "gzip", "brotli")]
    rows = [Measurement(artifact, "litert", "host", (*sizes, *quality_metrics(details)), details)]
    if instructions is not None:
        metrics = (Metric("instructions", instructions, "instructions", Kind.EMULATED), *quality_metrics(details))
        rows.append(Measurement(artifact, "litert", "cortex-a76", metrics, details))
    return rows
