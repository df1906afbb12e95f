"""Artifacts put into a finished bundle, properly sealed: `edgeship benchmark` measures what lies there and fails it."""

from __future__ import annotations

import json
import shutil

import pytest

from edgeship.bundle import bundle
from edgeship.storage import digest
from edgeship.types import to_json
from tests.mutants.lab import changes, constants  # they lie with the mutants


@pytest.fixture
def stale(edgeship):
    """A bundle of another training run of the same task: its TFLite artifact in float32."""
    edgeship("train", "motion", "--seed", "1", "--epochs", "1", "--out", "other", check=0)
    (edgeship.folder / "one.toml").write_text("[variants.float32]\n")
    edgeship("convert", "other/server.keras", "--config", "one.toml", "--to", "tflite", "--out", "stale", check=0)
    return bundle.open_bundle(edgeship.folder / "stale")


def test_what_is_spliced_into_a_bundle_is_measured_and_fails(edgeship, shipped, stale):
    opened = bundle.open_bundle(shipped.bundle)
    content = to_json(opened.manifest)
    entries = {item["id"]: item for item in content["artifacts"]}
    shutil.copyfile(stale.root / "tflite/float32.tflite", shipped.bundle / "tflite/float32.tflite")
    entries["tflite/float32"].update(to_json(stale.manifest.artifacts[0]))
    change(shipped.bundle / "onnx/float32.onnx", lambda weights: changes.zero(weights.kernels[1]))
    change(shipped.bundle / "tflite/int8.tflite", changes.bits_flipped(1e-3))
    entries["tflite/int8"]["content"] = digest.of_path(shipped.bundle / "tflite/int8.tflite")
    bundle.seal_content(shipped.bundle, content)

    done = edgeship("benchmark", shipped.bundle, "--data", shipped.folder / "evaluation.npz", "--json", "-")
    assert done.returncode == 1, done.stderr
    checks = json.loads(done.stdout)["gate"]["checks"]
    failed = {(item["artifact"], item["check"]): item["reason"] for item in checks if item["verdict"] == "FAIL"}
    assert "another model (stale?)" in failed["tflite/float32", "origin"]
    assert "changed or replaced" in failed["onnx/float32", "origin"]
    assert "changed or replaced after it was measured" in failed["tflite/int8", "origin"]
    assert "tflite/int8: changed or replaced after it was measured: convert it again; measured as it is" in done.stderr
    assert {("tflite/float32", "parity"), ("onnx/float32", "parity"), ("onnx/float32", "accuracy")} <= set(failed)
    assert "numbers of" in failed["tflite/int8", "twin"], "no figure falls by it"
    assert {("tflite/float32", "twin"), ("onnx/float32", "twin")} <= set(failed)
    twins = {item["artifact"]: item for item in checks if item["check"].startswith("twin")}
    assert twins["onnx/int8"]["verdict"] == "PASS", "it is what the server model gives"
    assert not [artifact for artifact, check in failed if artifact.startswith("tfjs") and check != "runs"]
    after = bundle.open_bundle(shipped.bundle).manifest
    for name in ("created", "server_model", "tools", "machine", "goldens", "skipped"):
        assert getattr(after, name) == getattr(opened.manifest, name), f"measuring rewrites {name}"
    told = json.loads(edgeship("gate", shipped.bundle, "--json", "-", check=1).stdout)["gate"]["checks"]
    assert {
        item["artifact"]: item["reason"] for item in told if item["check"] == "origin" and item["verdict"] == "FAIL"
    } == {artifact: reason for (artifact, check), reason in failed.items() if check == "origin"}


def change(path, how):
    """The artifact's file, changed in place."""
    weights = constants.read(path, path.parent.name)
    how(weights)
    path.unlink()
    weights.write(path)
