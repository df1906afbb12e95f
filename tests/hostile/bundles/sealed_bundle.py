"""A bundle as a stranger would hand it over: real artifacts, figures that pass the gate, and what its maker does to it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle import goldens
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.storage import digest
from edgeship.types import Artifact, to_json
from tests.benchmarks import conftest as made_up

ARTIFACTS = {
    "tflite/float32": "cnn.tflite",
    "tflite/int8": "cnn-int8-float-io.tflite",
    "onnx/float32": "cnn.onnx",
    "tfjs/float32": "cnn-tfjs",
}
TENSORS = {"image": "image", "scores": "probs"}  # as the made-up figures and as the models call them


def write(root: Path, models: Path) -> Path:
    """An honest bundle of the tiny models, sealed."""
    manifest: dict[str, Any] = json.loads(json.dumps(made_up.build_manifest()).replace('"scores"', '"probs"'))
    for key, name in (("artifacts", "id"), ("measurements", "artifact")):
        manifest[key] = [item for item in manifest[key] if item[name] in ARTIFACTS]
    (root / "server").mkdir(parents=True)
    shutil.copyfile(models / "cnn.keras", root / "server" / "server.keras")
    with np.load(models / "expected.npz") as stored:
        inputs = {"image": stored["cnn/inputs/image"]}
        expected = {"probs": stored["cnn/outputs/probs"]}
    own: dict[str, Any] = {}
    replays: dict[str, Any] = {}
    for item in manifest["artifacts"]:
        source, target = models / ARTIFACTS[item["id"]], root / item["path"]
        if source.is_dir():
            shutil.copytree(source, target.parent)
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, target)
        runtime = registry.for_format(item["format"])[0]
        if runtime.unavailable_reason():
            replays[item["id"]] = {
                "runtime": None,
                "reason": runtime.unavailable_reason(),
                "tolerance": None,
                "clear": None,
            }
            continue
        with open_session(runtime.name, target) as session:
            item |= {"inputs": to_json(session.inputs), "outputs": to_json(session.outputs)}
            own[item["id"]] = session.run(inputs)
        allowed = goldens.output_tolerances(Artifact.from_json(item, root), own[item["id"]])
        replays[item["id"]] = {"runtime": runtime.name, "reason": "", "tolerance": allowed, "clear": {}}
    goldens.write_goldens(root / "goldens", inputs, expected, own)
    manifest["goldens"] = {"samples": 7, "artifacts": replays}
    described = manifest["server_model"]
    described["digest"] = digest.of_path(root / "server" / "server.keras")
    for item in manifest["artifacts"]:
        item["steps"][0]["source"] = described["digest"]
        place = root / item["path"]
        item["content"] = digest.of_path(place.parent if item["format"] == "tfjs" else place)
        for measured in manifest["measurements"]:
            if measured["artifact"] == item["id"]:
                measured["details"]["content"] = item["content"]
    seal(root, manifest)
    return root


def seal(root: Path, manifest: Any) -> None:
    """A stranger's own seal: it follows links, reads what it can, and asks nobody whether that is right."""
    paths = [Path(parent) / name for parent, _, names in os.walk(root, followlinks=True) for name in names]
    files = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file() and path.name != "manifest.json"
    }
    if isinstance(manifest, dict):
        manifest = {**manifest, "files": files}
        manifest.pop("digest", None)
    seal_manifest(root, manifest)


def seal_manifest(root: Path, manifest: Any) -> None:
    """The manifest alone, with its digest where it can have one."""
    text = json.dumps(manifest)
    if isinstance(manifest, dict):
        manifest = {key: value for key, value in manifest.items() if key != "digest"}
        named = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        text = json.dumps({**manifest, "digest": named})
    (root / "manifest.json").unlink(missing_ok=True)
    (root / "manifest.json").write_text(text)


def change(root: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest and seal the bundle again."""
    manifest = json.loads((root / "manifest.json").read_text())
    edit(manifest)
    seal(root, manifest)
