"""Bundles for channels: made-up figures that pass, files of bytes, a contract with raw goldens. Nothing of them could run."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.storage import digest
from tests.benchmarks import conftest as made_up
from tests.deploy.contract.examples import example_contract
from tests.hostile.bundles import sealed_bundle

ARTIFACTS = ("tflite/float32", "tflite/int8", "tfjs/float32")
SIZE = 20_000


def write_bundle(root: Path, number: int = 1, *, passes: bool = True, weights: bytes = b"") -> Path:
    """A bundle of the model's `number`-th training: from one to the next, one in a hundred bytes of `tflite/int8` changes."""
    manifest: dict[str, Any] = copy.deepcopy(made_up._GOOD)
    manifest["created"] = f"2026-11-{number:02}T10:00:00+00:00"
    for key, name in (("artifacts", "id"), ("measurements", "artifact")):
        manifest[key] = [item for item in manifest[key] if item[name] in ARTIFACTS]
    made_up._write_files(root, manifest)
    (root / "tflite" / "int8.tflite").write_bytes(weights or _weights(number))
    for item in manifest["artifacts"]:
        place = root / item["path"]
        item["content"] = digest.of_path(place.parent if item["format"] == "tfjs" else place)
        for measured in manifest["measurements"]:
            if measured["artifact"] == item["id"]:
                measured["details"]["content"] = item["content"]
    if not passes:
        manifest["measurements"] = []
    manifest["gate"] = {"verdict": "PASS"}  # a claim: it is judged again
    contract = _write_goldens(root, number)
    (root / "contract.json").write_text(json.dumps(contract))
    sealed_bundle.seal(root, manifest)
    return root


def _weights(number: int) -> bytes:
    weights = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.uint8)
    for training in range(2, number + 1):
        random = np.random.default_rng(training)
        weights[random.integers(0, SIZE, SIZE // 100)] += 1
    return weights.tobytes()


def _write_goldens(root: Path, number: int) -> Any:
    contract = example_contract()
    (described,) = contract["artifacts"]
    contract["artifacts"] = [{**described, "id": name, "path": made_up.place(name)} for name in ARTIFACTS]
    raw = root / "goldens" / "raw"
    raw.mkdir(parents=True)
    (raw / "image.raw").write_bytes(bytes(64))
    (raw / "image.tensor").write_bytes(bytes(256))
    for name in ("server", *(name.replace("/", "-") for name in ARTIFACTS)):
        (raw / f"scores.{name}").write_bytes(np.array([0.25, number], np.float32).tobytes())
    for name in ("inputs", "outputs", *(name.replace("/", "-") for name in ARTIFACTS)):
        (raw.parent / f"{name}.npz").write_bytes(name.encode())
    return contract
