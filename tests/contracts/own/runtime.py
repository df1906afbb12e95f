"""A runtime of the tests' own, in one file: LiteRT on `.tflz` files."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from typing import Any

from edgeship.runtimes.engines import litert
from edgeship.runtimes.runtime import python_runtime

RUNTIMES = (python_runtime("tflz", "tflz", "LiteRT on packed files", ("ai-edge-litert",)),)


def open_backend() -> PackedBackend:
    """Import it."""
    return PackedBackend("ai_edge_litert", "ai-edge-litert")


class PackedBackend(litert.TFLiteBackend):
    """Unpacks and runs."""

    def load(self, path: str, threads: int, options: dict[str, Any]) -> litert.TFLiteModel:
        """Open a `.tflz` file."""
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "model.tflite"
            plain.write_bytes(zlib.decompress(Path(path).read_bytes()))
            return super().load(str(plain), threads, options)
