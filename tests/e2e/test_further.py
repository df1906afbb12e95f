"""Variants whose model is trained further, from edgeship.toml to the artifacts, with the real tools."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgeship.bundle import bundle

TOML = """
[data]
calibration = "train.npz"
train = "train.npz"
validation = "validation.npz"

[variants.float32]
formats = ["tflite"]

[variants.small-int8]
quantize = "static_w8a8"
formats = ["tflite", "onnx"]
prune = 0.6
cluster = 8
qat = true

[variants.client-int8]
quantize = "static_w8a8"
formats = ["tflite"]
distill = { student = "client.keras", labels = 0.9 }

[variants.sparse]
formats = ["tflite"]
prune = { sparsity = 0.8, layers = ["point"] }
sparse_encoding = true

[training]
epochs = 1
batch = 32
"""


def data(path: Path, count: int, seed: int) -> None:
    """Images whose class is where they are bright."""
    generator = np.random.default_rng(seed)
    y = np.arange(count) % 3
    image = generator.random((count, 8, 8, 1), np.float32) * 0.3
    image[np.arange(count), y * 2 + 1] += 1
    np.savez(path, image=image, y=y)


@pytest.fixture
def project(odd_models: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("small.keras", "client.keras"):
        shutil.copy(odd_models / name, folder)
    data(folder / "train.npz", 300, 0)
    data(folder / "validation.npz", 60, 1)
    (folder / "edgeship.toml").write_text(TOML)
    return folder


@pytest.mark.more
def test_variants_are_trained_further_with_the_real_tools(edgeship, project):
    """Run from another folder than the configuration's: paths in it are relative to it."""
    done = edgeship("convert", "project/small.keras", "--out", "out", "--to", "tflite,onnx", check=0)
    assert "train further: prune, cluster, qat" in done.stderr
    manifest = json.loads((project.parent / "out" / "manifest.json").read_text())
    artifacts = {item["id"]: item for item in manifest["artifacts"]}
    assert set(artifacts) == {
        "tflite/float32",
        "tflite/small-int8",
        "onnx/small-int8",
        "tflite/client-int8",
        "tflite/sparse",
    }
    for name in ("tflite/small-int8", "onnx/small-int8"):
        rows = {row["tensor"]: row for row in artifacts[name]["receipt"]["sparsity"]}
        assert set(rows) == {"first/kernel", "point/kernel", "kind/kernel"}
        assert all(row["artifact"] >= 0.59 for row in rows.values())
        steps = {step["name"]: step["recipe"] for step in artifacts[name]["steps"]}
        assert steps["optimize.qat"]["done"]["engine"] == "tfmot"
        assert all(row["achieved"] <= 8 for row in steps["optimize.cluster"]["tensors"])
    sizes = {name: (project.parent / "out" / item["path"]).stat().st_size for name, item in artifacts.items()}
    assert sizes["tflite/client-int8"] < sizes["tflite/small-int8"] < sizes["tflite/float32"]
    assert len(artifacts["tflite/sparse"]["receipt"]["sparse_encoding"]) == 1
    (row,) = artifacts["tflite/sparse"]["receipt"]["sparsity"]
    assert row["artifact"] == pytest.approx(0.8, abs=0.01), "read from the file, zeros that are not stored included"
    assert "kernels stored without their zeros: 1" in edgeship("inspect", "out/tflite/sparse.tflite", check=0).stdout
    (student,) = [step for step in artifacts["tflite/client-int8"]["steps"] if step["name"] == "optimize.distill"]
    assert student["recipe"]["done"]["student"] == "client.keras"

    shutil.move(project, project.parent / "elsewhere")
    again = edgeship("convert", "elsewhere/small.keras", "--out", "again", "--to", "tflite,onnx", check=0)
    redone = [line for line in again.stderr.splitlines() if "train further" in line and "(cached)" not in line]
    assert not redone, "the student counts by what is in it, not by where it lies"
    assert again.stderr.count("train further") == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("prune = 0.6", "prune = { layers = ['conv*'] }"), "there are: first, point, kind"),
        (("client.keras", "none.keras"), "none.keras: no such file"),
    ],
    ids=["pattern", "student"],
)
def test_what_cannot_be_trained_is_refused(edgeship, project, change, message):
    path = project / "edgeship.toml"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    done = edgeship("convert", "project/small.keras", "--out", "out", "--to", "tflite")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.parent / "out").exists()


@pytest.mark.more
def test_sparse_encoding_that_the_artifact_does_not_show_is_an_error(edgeship, project):
    path = project / "edgeship.toml"
    path.write_text(path.read_text().replace("sparsity = 0.8", "sparsity = 0.1"))
    done = edgeship("convert", "project/small.keras", "--out", "out", "--to", "tflite", "--variant", "sparse")
    assert done.returncode == 1, done.stderr
    (failure,) = bundle.open_bundle(project.parent / "out").manifest.failures
    assert failure.artifact == "tflite/sparse"
    assert "sparse_encoding was asked for, but no kernel is stored that way" in failure.reason
