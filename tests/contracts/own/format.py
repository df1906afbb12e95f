"""A format of the tests' own, in one file: a `.tflite` that zlib has packed."""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.formats.format import TENSORFLOW, Format, RecipeSupport
from edgeship.types import ToolReport

HEAD = zlib.compress(b"", 9)[:2]


def convert(saved_model: str, out_file: str) -> ToolReport:
    """Write a `.tflz`."""
    from edgeship.convert.tflite import convert

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "model.tflite"
        report = convert.run(saved_model, str(plain))
        Path(out_file).write_bytes(zlib.compress(plain.read_bytes(), 9))
    return report


def read_receipt(path: Path) -> Any:
    """What a `.tflz` holds."""
    from edgeship.convert.receipts import tflite

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "model.tflite"
        plain.write_bytes(zlib.decompress(path.read_bytes()))
        return replace(tflite.read(plain), format="tflz")


FORMAT = Format(
    name="tflz",
    title=".tflz",
    rank=9,
    file="model.tflz",
    runtime="tflz",
    matches=lambda path: path.is_file() and path.read_bytes()[:2] == HEAD,
    tools=(*TENSORFLOW, "ai-edge-litert"),
    converter="edgeship.formats.known.tflz:convert",
    receipt_reader="edgeship.formats.known.tflz:read_receipt",
    recipes={"float32": RecipeSupport("as converted")},
)
