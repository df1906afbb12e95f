"""A stranger's folder: code that must not run, models, data and bundles that name it."""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edgeship.bundle import bundle as bundles
from edgeship.data import RepresentativeDataset
from edgeship.storage import digest

SPEC = {"name": "x", "shape": [None, 4], "dtype": "float32", "quantization": None}


CONFIG: dict[str, Any] = {
    "model": {"custom_objects": None, "signature": None, "allow_unsafe": False},
    "data": {
        **dict.fromkeys(
            ("calibration", "calibration_samples", "train", "validation", "evaluation", "evaluation_samples")
        ),
        "labels": [],
    },
    "variants": [{"name": "int8", "quantize": "static_w8a8", "formats": ["tflite"]}],
    "benchmark": {"profile": "rapid", "devices": ["host"], "runtimes": [], "metric": None, "output": None},
    "budget": {"accuracy": "mlperf99"},
    "training": {},
}


class Stranger:
    """A folder with a stranger's files in it: `evil.py`, which writes `canary` and fails, data, a model, bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.canary = folder, folder / "canary"
        (folder / "evil.py").write_text(
            f"open({str(self.canary)!r}, 'w').close()\nraise ImportError('and that is all')\n"
        )
        np.savez(folder / "data.npz", x=np.zeros((8, 4), np.float32), y=np.zeros(8, np.int64))
        self.write_model(folder / "model.keras")

    @staticmethod
    def write_model(path: Path) -> None:
        """As much of a model as is read before its custom objects are imported."""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": []}}))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.10.0"}))
            weights = io.BytesIO()
            h5py.File(weights, "w").close()
            archive.writestr("model.weights.h5", weights.getvalue())

    def write_lambda(self, path: Path) -> None:
        """A whole model of one layer, whose code writes the file."""
        code = compile(f"lambda x: (open({str(self.canary)!r}, 'w').close(), x)[1]", "evil", "eval").co_consts[0]
        function = {"code": base64.b64encode(marshal.dumps(code)).decode(), "defaults": None, "closure": None}
        layer = {"name": "evil", "trainable": True, "dtype": "float32", "arguments": {}}
        layer["function"] = {"class_name": "__lambda__", "config": function}
        start = {"batch_shape": [None, 4], "dtype": "float32", "sparse": False, "name": "x"}
        layers = [("InputLayer", start), ("Lambda", layer)]
        named = [
            {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None}
            for name, config in layers
        ]
        model = {
            "name": "model",
            "trainable": True,
            "dtype": "float32",
            "layers": named,
            "build_input_shape": [None, 4],
        }
        whole = {"module": "keras", "class_name": "Sequential", "config": model, "registered_name": None}
        h5 = io.BytesIO()
        with h5py.File(h5, "w") as file:
            file.create_group("layers/evil/vars")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(whole))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.10.0"}))
            archive.writestr("model.weights.h5", h5.getvalue())

    def bundle(self, change: Any = None, *, kind: str = "", **sections: Any) -> Path:
        """A sealed bundle whose manifest says what is given of its configuration."""
        root = self.folder / "bundle"
        for name in ("server", "tflite", "goldens"):
            (root / name).mkdir(parents=True)
        kinds = {"": self.write_model, "lambda": self.write_lambda, "none": lambda path: path.write_bytes(b"no model")}
        kinds[kind](root / "server/model.keras")
        (root / "tflite/int8.tflite").write_bytes(b"TFL3")
        np.savez(root / "goldens/inputs.npz", x=np.zeros((1, 4), np.float32))
        content = digest.of_path(root / "tflite/int8.tflite")
        config = {key: {**CONFIG[key], **sections.get(key, {})} if key != "variants" else CONFIG[key] for key in CONFIG}
        artifact = {
            **{"id": "tflite/int8", "path": "tflite/int8.tflite", "format": "tflite", "variant": "int8"},
            **{"inputs": [SPEC], "outputs": [SPEC], "steps": [], "digest": content, "content": content},
        }
        server = {
            **{"path": "server/model.keras", "digest": digest.of_path(root / "server/model.keras")},
            **{"loading": config["model"], "loader": "keras", "notes": [], "parameters": 0},
            **{"inputs": [SPEC], "outputs": [SPEC]},
        }
        bundles.seal_content(
            root,
            {
                **{"created": "2026-01-01T00:00:00+00:00", "server_model": server, "labels": None, "config": config},
                **{"data": self.recorded(), "artifacts": [artifact], "skipped": [], "tools": {}, "machine": {}},
                **{"measurements": [], "gate": None, "goldens": {"samples": 1, "source": "", "artifacts": {}}},
                **(change(config) if change else {}),
            },
        )
        return root

    def recorded(self) -> dict[str, Any]:
        """What a manifest keeps of the data that it was made with."""
        data = {"source": "data.npz", "digest": RepresentativeDataset(self.folder / "data.npz").digest, "samples": 8}
        return {"calibration": data, "evaluation": data}

    def __call__(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        """`edgeship` as the user runs it here."""
        own = {"EDGESHIP_CACHE": str(self.folder / "cache"), "EDGESHIP_TRUST": str(self.folder / "trust/trusted.json")}
        return subprocess.run(
            [sys.executable, "-m", "edgeship.cli", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **own, "COLUMNS": "200", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def refuses(self, *arguments: object, words: tuple[str, ...], **env: str) -> None:
        """The command ends with one or two lines that say what is wrong, and no code of the stranger's has run."""
        done = self(*arguments, **env)
        assert not self.canary.exists(), f"code ran\n{done.stderr}"
        assert done.returncode == 2, done.stdout + done.stderr
        message = done.stderr.partition("error:")[2]
        assert len(message.strip().splitlines()) <= 2, done.stderr
        for part in words:
            assert part in message, done.stderr

    def runs(self, *arguments: object) -> str:
        """The command lets the code run, which then fails it."""
        done = self(*arguments)
        assert self.canary.exists(), done.stdout + done.stderr
        self.canary.unlink()
        return done.stderr


DATA = {"evaluation": "data.npz", "calibration": "data.npz"}


CODE = {"evaluation": "evil:data", "calibration": "data.npz"}
