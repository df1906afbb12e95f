"""The contents of a TF.js folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.convert.twins.contents import Array, Constant, Contents, Operator, affine, plain
from edgeship.untrusted import place_within, read_json

SHAPES = ("shape", "_output_shapes", "value", "dtype")
NO_OPERATORS = ("Const", "Placeholder", "NoOp", "Identity")


def read(path: Path) -> Contents:
    """Constants and operators of the folder; `edgeship.convert.receipts` has looked at it before."""
    file = path / "model.json" if path.is_dir() else path
    model = read_json(file, links=True)
    constants: list[Constant] = []
    for group in model["weightsManifest"]:
        stream = b"".join(place_within(file.parent, name).read_bytes() for name in group["paths"])
        for entry in group["weights"]:
            constant, size = _constant(entry, stream)
            stream = stream[size:]
            constants += [constant] if constant else []
    operators = [
        Operator(node["op"], _attributes(node)) for node in model["modelTopology"]["node"] if _is_operator(node)
    ]
    return Contents(tuple(constants), tuple(operators))


def _is_operator(node: dict[str, Any]) -> bool:
    return node["op"] not in NO_OPERATORS


def _constant(entry: dict[str, Any], stream: bytes) -> tuple[Constant | None, int]:
    """A weight of the manifest at the start of a stream, and its bytes."""
    how = entry.get("quantization", {})
    kind = how.get("dtype", entry["dtype"])
    if kind in ("string", "complex64"):
        return None, len(stream)  # texts have no sizes of their own; nothing that follows them is compared
    values: Array = np.frombuffer(stream, np.dtype(kind), int(np.prod(entry["shape"])))
    size, values = values.nbytes, values.reshape(entry["shape"])
    if "scale" in how:
        codes = affine(entry["name"], values, np.array(how["scale"]), np.zeros(1), None, values.dtype.itemsize * 8)
        return Constant(codes.name, codes.values + how["min"], codes.step, codes.codes, codes.bits), size
    return plain(entry["name"], values), size


def _attributes(node: dict[str, Any]) -> dict[str, str]:
    return {
        name: json.dumps(value, sort_keys=True) for name, value in node.get("attr", {}).items() if name not in SHAPES
    }
