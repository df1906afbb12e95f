"""What a device keeps of learning: the head that it learned, and the corrected samples as features. Each file is whole or absent.

A file is its content's SHA-256 and the content, an `.npz` with the digest of the `learning.json` that it belongs to: what is
damaged, or of another version of the model, counts as absent.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import zipfile
from pathlib import Path

import numpy as np

from edgeship.client.learning.arithmetic import Array, Head
from edgeship.client.learning.package import Package, Samples
from edgeship.client.outcome import ClientError

HEAD, SAMPLES = "head.bin", "samples.bin"
DIGEST_BYTES = 32


class LearningState:
    """The folder of one device's learning. Raises ClientError where it cannot be written."""

    def __init__(self, folder: Path, package: Package) -> None:
        self._folder, self._package = folder, package

    def read_head(self) -> Head | None:
        """The head that was learned; None where there is none, or none that fits."""
        arrays = self._read(HEAD)
        shipped = self._package.head
        if arrays is None or [arrays[name].shape for name in Head._fields] != [item.shape for item in shipped]:
            return None
        head = Head(arrays["weights"], arrays["bias"])
        return head if all(np.isfinite(item).all() for item in head) else None

    def write_head(self, head: Head) -> None:
        """Replace the learned head, whole."""
        self._write(HEAD, {"weights": head.weights, "bias": head.bias})

    def read_samples(self) -> tuple[Samples, Array]:
        """The corrected samples, and the number of each in the order in which they came."""
        arrays = self._read(SAMPLES)
        features, outputs = self._package.head.weights.shape
        if arrays is None or arrays["features"].shape[1:] != (features,) or arrays["target"].shape[1:] != (outputs,):
            return Samples(np.zeros((0, features), np.float32), np.zeros((0, outputs), np.float32)), np.zeros(
                0, np.int64
            )
        return Samples(arrays["features"], arrays["target"]), arrays["number"]

    def write_samples(self, samples: Samples, number: Array) -> None:
        """Replace the corrected samples, whole."""
        self._write(SAMPLES, {"features": samples.features, "target": samples.target, "number": number})

    def forget(self, *, samples: bool) -> None:
        """Delete the learned head, and the corrected samples where asked for."""
        for name in (HEAD, *((SAMPLES,) if samples else ())):
            (self._folder / name).unlink(missing_ok=True)

    def _read(self, name: str) -> dict[str, Array] | None:
        try:
            stored = (self._folder / name).read_bytes()
            content = stored[DIGEST_BYTES:]
            if hashlib.sha256(content).digest() != stored[:DIGEST_BYTES]:
                return None
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                found: dict[str, Array] = dict(arrays)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        return found if str(found.pop("of", "")) == self._package.digest else None

    def _write(self, name: str, arrays: dict[str, Array]) -> None:
        buffer = io.BytesIO()
        named: dict[str, Array] = {**arrays, "of": np.array(self._package.digest)}
        np.savez(buffer, **named)  # type: ignore[arg-type]  # numpy's stub knows of no array names
        content = buffer.getvalue()
        beside = self._folder / f".{name}.{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for stale in self._folder.glob(f".{name}.*"):
                stale.unlink(missing_ok=True)  # of a client that was killed
            with beside.open("xb") as file:
                file.write(hashlib.sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._folder / name)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise ClientError(
                f"{self._folder}: {error.strerror}; what is learned needs a folder to be kept in"
            ) from error
