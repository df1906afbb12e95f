"""Bundles of the tiny models (tests/models.py), sealed here: no TensorFlow is needed to make them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from edgeship.bundle import bundle as bundles
from edgeship.bundle.manifest import ArtifactEntry, Manifest, ServerModelEntry
from edgeship.bundle.verdict import GateResult, Recommendation
from edgeship.deploy.contract.build import build_contract, describe_outputs
from edgeship.deploy.contract.contract import RawGoldens, contract_json
from edgeship.deploy.contract.describe import describe_inputs
from edgeship.runtimes.session import open_session
from edgeship.settings.config import Config
from edgeship.settings.inputs import InputForm
from edgeship.storage import digest
from edgeship.types import TensorSpec, Verdict, to_json

LABELS = ("zero", "one", "two", "three", "four")
FILES = {
    "tflite/float32": ("cnn.tflite", "litert"),
    "tflite/int8": ("cnn-int8.tflite", "litert"),
    "onnx/float32": ("cnn.onnx", "onnxruntime"),
}
INPUTS = (TensorSpec("image", (None, 8, 8, 1), "float32"),)
OUTPUTS = (TensorSpec("probs", (None, 5), "float32"),)


def write_bundle(models: Path, out: Path, *, recommended: str | None = "onnx/float32", broken: bool = False) -> Path:
    """A bundle of the cnn, whose gate passed and recommends that artifact; None: it was never judged.

    `broken`: no runtime loads its artifacts.
    """
    images = np.load(models / "expected.npz")["cnn/inputs/image"]
    with bundles.replace_bundle(out) as draft:
        entries = []
        for name, (file, runtime) in FILES.items():
            path = f"{name.partition('/')[0]}/{name.partition('/')[2]}{Path(file).suffix}"
            (draft / path).parent.mkdir(exist_ok=True)
            shutil.copyfile(models / file, draft / path)
            with open_session(runtime, draft / path) as session:
                kind, variant = name.split("/")
                if broken:
                    (draft / path).write_bytes(b"no model")
                content = digest.of_path(draft / path)
                entries.append(
                    ArtifactEntry(name, path, kind, variant, session.inputs, session.outputs, content=content)
                )
        (draft / "server").mkdir()
        shutil.copyfile(models / "cnn.keras", draft / "server/server.keras")
        (draft / "goldens").mkdir()
        np.savez(draft / "goldens/inputs.npz", image=images)
        server = ServerModelEntry("server/server.keras", digest.of_path(draft / "server/server.keras"), INPUTS, OUTPUTS)
        passed = GateResult(
            Verdict.PASS, recommended=(Recommendation("servers and desktops", recommended, "the test says so"),)
        ) if recommended else None  # fmt: skip
        manifest = Manifest(
            {},
            tuple(entries),
            (),
            labels=LABELS,
            server_model=server,
            gate=passed,
            config=to_json(Config().to_manifest()),
        )
        _write_contract(draft, manifest, images)
        bundles.seal_bundle(draft, manifest)
    return out


def _write_contract(draft: Path, manifest: Manifest, images: np.ndarray) -> None:
    form = InputForm(kind="image", multiply=1 / 255, add=0.0)
    inputs = describe_inputs(INPUTS, {"image": np.round(images * 255) / np.float32(255)}, {"image": form})
    outputs = describe_outputs(OUTPUTS, ["softmax"], LABELS, None, {})
    goldens = RawGoldens(reason="none")
    (draft / "contract.json").write_text(contract_json(build_contract("cnn", manifest, inputs, outputs, goldens)))


def write_single(file: Path, runtime: str, out: Path) -> Path:
    """A bundle of one file, which it recommends; without contract and goldens, as some bundles are."""
    kind = {"litert": "tflite", "onnxruntime": "onnx"}[runtime]
    with bundles.replace_bundle(out) as draft:
        path = f"{kind}/float32.{kind}"
        (draft / path).parent.mkdir()
        shutil.copyfile(file, draft / path)
        with open_session(runtime, draft / path) as session:
            edges = session.inputs, session.outputs
        entry = ArtifactEntry(f"{kind}/float32", path, kind, "float32", *edges, content=digest.of_path(draft / path))
        (draft / "server").mkdir()
        (draft / "server/server.keras").write_bytes(b"nobody asks it")
        server = ServerModelEntry("server/server.keras", digest.of_path(draft / "server/server.keras"), *edges)
        passed = GateResult(Verdict.PASS, recommended=(Recommendation("apps", entry.id, "the test says so"),))
        settings = to_json(Config().to_manifest())
        bundles.seal_bundle(draft, Manifest({}, (entry,), (), server_model=server, gate=passed, config=settings))
    return out
