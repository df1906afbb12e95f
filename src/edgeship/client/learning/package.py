"""The `learning/` of a bundle: what it says, its shipped head, and the samples that travel with it."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.client.learning.arithmetic import Array, Head
from edgeship.client.learning.engines import NamedModel, StepModel
from edgeship.client.outcome import ClientError
from edgeship.client.selftest.runtimes import find_runtime

FILE, SCHEMA = "learning.json", 1


@dataclass(frozen=True)
class Samples:
    """Samples as their features (n, features) and targets (n, outputs), float32."""

    features: Array
    target: Array

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Package:
    """An opened `learning/`: `replay` is trained with, `guard` judges. `digest`: of `learning.json`, which names all files."""

    folder: Path
    digest: str
    content: dict[str, Any]
    head: Head
    replay: Samples
    guard: Samples

    @property
    def activation(self) -> str:
        """What scores go through: softmax, sigmoid or linear."""
        return str(self.content["activation"])

    @property
    def outputs(self) -> int:
        """How many scores the head gives."""
        return int(self.content["outputs"])

    @property
    def batch(self) -> int:
        """How many samples a step takes."""
        return int(self.content["batch"])

    def open_step(self) -> StepModel:
        """The training step in the first runtime that is here. Raises ClientError where none is."""
        steps: dict[str, str] = self.content["steps"]
        form = next((form for form, file in steps.items() if self._is_usable(form, file)), next(iter(steps)))
        return StepModel(form, self._check_file(steps[form]))

    def open_base(self, name: str | None = None) -> tuple[NamedModel, dict[str, Any]]:
        """The base that is called `<format>/<variant>`, by default the first that a runtime here takes, and what is said of it.

        Raises ClientError where there is none of that name, or no runtime for it.
        """
        bases = {f"{item['format']}/{item['variant']}": item for item in self.content["bases"]}
        usable = (key for key, item in bases.items() if self._is_usable(item["format"], item["file"]))
        chosen = name or next(usable, next(iter(bases)))
        if chosen not in bases:
            raise ClientError(f"no base is called {chosen!a}; there are {', '.join(bases)}")
        described: dict[str, Any] = bases[chosen]
        return NamedModel(described["format"], self._check_file(described["file"])), described

    def make_target(self, labels: Array) -> Array:
        """The targets (n, outputs), float32, of labels: classes (n,) for softmax, else numbers (n, outputs), or (n,) of one.

        Raises ClientError for labels that the head cannot give.
        """
        labels = np.asarray(labels)
        if self.activation == "softmax" and labels.ndim == 1:
            if labels.dtype.kind not in "iu" or (labels.size and not 0 <= labels.min() <= labels.max() < self.outputs):
                raise ClientError(f"labels must be whole numbers from 0 to {self.outputs - 1}, one for each sample")
            return np.eye(self.outputs, dtype=np.float32)[labels]
        target = labels.astype(np.float32).reshape(len(labels), -1)
        shares = self.activation != "linear"
        if (
            target.shape[1] != self.outputs
            or not np.isfinite(target).all()
            or (shares and target.size and not 0 <= target.min() <= target.max() <= 1)
        ):
            bounds = " from 0 to 1" if shares else ""
            raise ClientError(f"labels must be {self.outputs} numbers{bounds} for each sample")
        return target

    def _is_usable(self, form: str, file: str) -> bool:
        """Whether there is a runtime for it, and the file: a version of a channel has those of its artifact's format only."""
        return find_runtime(form) is not None and (self.folder / file).exists()

    def _check_file(self, name: str) -> Path:
        """The path of a file whose digest is the one that `learning.json` has."""
        read_file(self.folder, self.content, name)
        return self.folder / name


def read_file(folder: Path, content: dict[str, Any], name: str) -> bytes:
    """A file of `learning/`. Raises ClientError where it is missing, or not the one that `learning.json` names."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise ClientError(f"{folder / name}: {error.strerror}; fetch the version again") from error
    if hashlib.sha256(data).hexdigest() != content["files"].get(name):
        raise ClientError(f"{folder / name}: was changed on this device; fetch the version again")
    return data


def open_package(folder: Path) -> Package:
    """Open the `learning/` of a bundle or version. Raises ClientError where it is none, or a file of it was changed."""
    try:
        text = (folder / FILE).read_bytes()
        content = json.loads(text)
        if content["schema"] != SCHEMA:
            raise ClientError(f"{folder / FILE}: schema {content['schema']}, this client reads {SCHEMA}")
        head = _read_arrays(folder, content, content["head"])
        stored = _read_arrays(folder, content, content["replay"])
        scale, offset = np.float32(content["samples"]["scale"]), np.float32(content["samples"]["offset"])
        parts = [Samples(stored[f"{part}_features"].astype(np.float32) * scale + offset, stored[f"{part}_target"])
                 for part in ("replay", "guard")]  # fmt: skip
    except FileNotFoundError as error:
        way = "`edgeship convert MODEL --head-step` makes one"
        raise ClientError(f"{folder}: no {FILE} in it, so that nothing is learned here; {way}") from error
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, ClientError):
            raise
        raise ClientError(f"{folder / FILE}: cannot be read ({type(error).__name__}: {error})"[:300]) from error
    digest = hashlib.sha256(text).hexdigest()
    return Package(folder, digest, content, Head(head["weights"], head["bias"]), *parts)


def _read_arrays(folder: Path, content: dict[str, Any], name: str) -> dict[str, Array]:
    with np.load(io.BytesIO(read_file(folder, content, name)), allow_pickle=False) as arrays:
        return dict(arrays)
