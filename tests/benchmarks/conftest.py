"""Test fixtures: a bundle's manifest as a run would write it, from made-up outputs (no figure here was measured)."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.measure import latency
from edgeship.settings.config import Config
from edgeship.storage import digest
from edgeship.types import to_json

SAMPLES, CLASSES = 2000, 10
LABELS = [
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
]  # fmt: skip
SERVER = "server/server.keras"
SERVER_DIGEST = hashlib.sha256(f'{{"made up": "{SERVER}"}}'.encode()).hexdigest()  # as `text` has it
# artifact: (noise on the logits, size on disk, median latency in ms, peak memory)
ARTIFACTS = {
    "tflite/float32": (1e-6, 571_000, 0.21, 31_000_000),
    "tflite/int8": (0.2, 152_000, 0.12, 29_000_000),
    "onnx/float32": (1e-6, 569_000, 0.16, 47_000_000),
    "onnx/int8": (0.3, 168_000, 0.14, 46_000_000),
    "tfjs/float32": (2e-6, 575_000, 1.9, 92_000_000),
    "tfjs/weight_only_w8": (0.08, 149_000, 2.0, 93_000_000),
}
RUNTIMES = {"tflite": "litert", "onnx": "onnxruntime", "tfjs": "tfjs-node"}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def server_logits(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits of a made-up server model that is right about nine times in ten."""
    truth = rng.integers(CLASSES, size=SAMPLES)
    logits = rng.normal(size=(SAMPLES, CLASSES)) * 1.6
    logits[np.arange(SAMPLES), truth] += 5.0
    return truth, logits


def metric(name: str, value: float | None, unit: str = "", reason: str = "") -> dict[str, Any]:
    availability = "failed" if value is None else "available"
    figure = {"name": name, "value": value, "unit": unit, "kind": "measured"}
    return {**figure, "availability": availability, "reason": reason or ("it is not known" if value is None else "")}


def spec(name: str, shape: list[int | None], dtype: str = "float32") -> dict[str, Any]:
    return {"name": name, "shape": shape, "dtype": dtype, "quantization": None}


def measurement(
    artifact: str, truth: np.ndarray, server: np.ndarray, outputs: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    _, size, median, memory = ARTIFACTS[artifact]
    family, _, variant = artifact.partition("/")
    times = median * rng.lognormal(0, 0.08, 600)
    summary = latency.summarize_latencies(times.tolist())
    compared = accuracy.measure({"y": truth}, {"scores": server}, {"scores": outputs})
    near = parity.compare({"scores": server}, {"scores": outputs})
    worst = parity.worst_figures(near)
    details: dict[str, Any] = {
        "accuracy": to_json(compared), "parity": to_json(near), "content": content(artifact)
    }  # fmt: skip
    metrics = [
        metric("size_disk_bytes", size, "bytes"), metric("size_gzip_bytes", size * 0.83, "bytes"),
        metric("size_brotli_bytes", size * 0.8, "bytes"), metric("load_ms", 4.1, "ms"),
        metric("first_inference_ms", median * 3, "ms"), metric("latency_p50_ms", summary.p50_ms, "ms"),
        metric("latency_p90_ms", summary.p90_ms, "ms"),
        metric("latency_p90_early_stopping_ms", summary.p90_early_stopping_ms, "ms"),
        metric("peak_memory_bytes", memory, "bytes"), metric("accuracy", compared.value, "share"),
        metric("accuracy_server", compared.server, "share"), metric("accuracy_drop", compared.drop, "share"),
        metric("flips", compared.flips_total, "samples"), metric("ece", compared.ece, "share"),
        *(metric(name, worst[name]) for name in ("agreement", "max_abs_error", "mean_abs_error", "cosine", "sqnr_db")),
    ]  # fmt: skip
    if variant != "float32":
        base = ARTIFACTS[f"{family}/float32"][2]
        blocks = [[list(one * rng.lognormal(0, 0.05, 50)) for _ in range(64)] for one in (median, base)]
        pairs = [(blocks[0][at : at + 8], blocks[1][at : at + 8]) for at in range(0, 64, 8)]
        ratio = latency.block_ratio(pairs)
        details["latency_ratio"] = {**asdict(ratio), "against": f"{family}/float32"}
        metrics.append(metric("latency_ratio", ratio.value, "x"))
    return {
        "artifact": artifact, "runtime": RUNTIMES[family], "device": "host", "metrics": metrics, "details": details
    }  # fmt: skip


def place(artifact: str) -> str:
    """Where an artifact lies in the bundle."""
    family, _, variant = artifact.partition("/")
    return f"tfjs/{variant}/model.json" if family == "tfjs" else f"{family}/{variant}.{family}"


def text(path: str) -> bytes:
    """What a file of the bundle holds: nothing that could run."""
    return f'{{"made up": "{path}"}}'.encode()


def content(artifact: str) -> str:
    """The digest of what lies in an artifact's place."""
    path = place(artifact)
    file = hashlib.sha256(text(path)).hexdigest()
    return digest.of_tree({"model.json": file}) if artifact.startswith("tfjs/") else file


def _write_files(root: Path, manifest: dict[str, Any]) -> None:
    for path in (manifest["server_model"]["path"], *(item["path"] for item in manifest["artifacts"])):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text(path))


def artifact_entry(name: str) -> dict[str, Any]:
    family, _, variant = name.partition("/")
    steps = [("export", SERVER_DIGEST), (f"convert.{family}", "11" * 32)]
    steps += [("quantize", "22" * 32)] if variant == "int8" else []
    return {
        "id": name, "path": place(name), "content": content(name), "format": family, "variant": variant,
        "inputs": [spec("image", [None, 28, 28, 1])], "outputs": [spec("scores", [None, CLASSES])],
        "steps": [{"name": step, "source": source, "recipe": {}, "tools": {}} for step, source in steps],
        "receipt": {"format": family, "int8_op_share": 1.0 if variant == "int8" else 0.0, "weights": {"bytes": 1}},
    }  # fmt: skip


def build_manifest() -> dict[str, Any]:
    """The manifest of a good bundle: every artifact near to the server model, every figure there."""
    rng = np.random.default_rng(5)
    truth, logits = server_logits(rng)
    server = softmax(logits)
    measurements = []
    for name, (noise, *_) in ARTIFACTS.items():
        outputs = softmax(logits + noise * rng.normal(size=logits.shape))
        measurements.append(measurement(name, truth, server, outputs, rng))
    compared = accuracy.measure({"y": truth}, {"scores": server}, {"scores": server})
    figures = ("metric", "share", "higher_is_better", "n", "server", "ece_server", "output", "reason", "notes")
    data = {"source": "evaluation.npz", "digest": "ab" * 32, "samples": SAMPLES, "limit": None}
    return {
        "schema": 2, "created": "2026-11-22T15:00:00+00:00", "edgeship": "0.1.0", "labels": LABELS,
        "server_model": {
            "path": SERVER, "digest": SERVER_DIGEST, "loader": "keras", "notes": [],
            "parameters": 141_000, "inputs": [spec("image", [None, 28, 28, 1])],
            "outputs": [spec("scores", [None, CLASSES])],
        },
        "config": to_json(Config().to_manifest()),
        "data": {"calibration": {**data, "source": "calibration.npz"}, "evaluation": data},
        "artifacts": [artifact_entry(name) for name in ARTIFACTS],
        "files": {place(name): hashlib.sha256(text(place(name))).hexdigest() for name in ARTIFACTS},
        "skipped": [{"artifact": "tfjs/int8", "reason": "TF.js has no int8 inference, only weight storage"}],
        "tools": {"tensorflow": "2.21.0", "onnxruntime": "1.31.1"},
        "machine": {"cpu": "test fixture", "cores": 2},
        "measurements": measurements, "server_measurement": {key: getattr(compared, key) for key in figures},
        "gate": None,
    }  # fmt: skip


_GOOD = build_manifest()


@pytest.fixture
def manifest() -> dict[str, Any]:
    """A good bundle's manifest, free to be changed."""
    return copy.deepcopy(_GOOD)


@pytest.fixture
def write_files() -> Callable[[Path, dict[str, Any]], None]:
    """`write_files(root, manifest)`: the files that the manifest names."""
    return _write_files


@pytest.fixture
def replace_outputs() -> Callable[..., None]:
    """`replace_outputs(manifest, artifact, change)`: measure the artifact again with `change(server outputs)`."""

    def replace(manifest: dict[str, Any], artifact: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
        rng = np.random.default_rng(5)
        truth, logits = server_logits(rng)
        server = softmax(logits)
        again = measurement(artifact, truth, server, change(server.copy()), rng)
        manifest["measurements"] = [
            again if item["artifact"] == artifact else item for item in manifest["measurements"]
        ]

    return replace
