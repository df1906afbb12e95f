"""What a TF.js graph model really holds, read from its model.json and weight shards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle.named_files import check_shards
from edgeship.bundle.receipt import Receipt
from edgeship.convert.receipts.weights import Weights
from edgeship.errors import InputError
from edgeship.types import TensorSpec
from edgeship.untrusted import count_elements, place_within, printable, read_json, regular_file, shorten_text

VARIABLE_OPS = ("VarHandleOp", "ReadVariableOp", "VariableV2", "Variable", "AssignVariableOp")
TYPES = {
    "DT_FLOAT": "float32",
    "DT_INT32": "int32",
    "DT_INT64": "int32",
    "DT_UINT8": "int32",
    "DT_INT8": "int32",
    "DT_BOOL": "bool",
}
SIZES = {"float32": 4, "int32": 4, "bool": 1, "uint8": 1, "uint16": 2, "float16": 2, "complex64": 8, "string": 0}


def read(path: Path) -> Receipt:
    """The receipt of a TF.js folder (or its model.json). Raises InputError where files are missing, cut or of another kind."""
    file = path / "model.json" if path.is_dir() else path
    if not file.exists():
        raise InputError(
            f"{printable(file)}: no such file; a TF.js model is a folder with model.json and its weight files"
        )
    model = read_json(file, links=True)
    try:
        topology, signature = model["modelTopology"], model["signature"]
        graph = topology["node"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{printable(file)}: not a TF.js graph model, or a damaged one") from error
    functions = [
        node for function in topology.get("library", {}).get("function", []) for node in function.get("nodeDef", [])
    ]
    nodes = [*graph, *functions]
    return Receipt(
        format="tfjs",
        inputs=tuple(_spec(name, item) for name, item in signature["inputs"].items()),
        outputs=tuple(_spec(name, item) for name, item in signature["outputs"].items()),
        ops=dict(
            Counter(node["op"] for node in nodes if node["op"] not in ("Const", "Placeholder", "NoOp")).most_common()
        ),
        variable_ops=tuple(sorted({node["op"] for node in nodes if node["op"] in VARIABLE_OPS})),
        weights=_weights(file, model.get("weightsManifest", [])).summary(),
        converter=model["convertedBy"] if isinstance(model.get("convertedBy"), str) else None,
        control_flow=any(
            node["op"] in ("Enter", "While", "StatelessWhile", "If", "StatelessIf", "Switch") for node in nodes
        ),
    )


def _spec(name: str, item: dict[str, Any]) -> TensorSpec:
    sizes = [int(dim.get("size", 0)) for dim in item.get("tensorShape", {}).get("dim", [])]
    shape = tuple(None if size < 0 else size for size in sizes)
    return TensorSpec(name, shape, TYPES.get(item["dtype"], item["dtype"]))


def _weights(file: Path, manifest: list[dict[str, Any]]) -> Weights:
    weights = Weights(file)
    check_shards(file, [name for group in manifest for name in group["paths"]])
    for group in manifest:
        sizes = [_size(file, entry) for entry in group["weights"]]
        data = _stored(file, group["paths"], sum(sizes))
        offset = 0
        for entry, size in zip(group["weights"], sizes, strict=True):
            stored = _stored_as(entry)
            if offset + size > len(data):
                raise InputError(
                    f"{printable(file)}: its weight files end in the middle of '{printable(entry['name'])}'; "
                    "copy the whole folder again"
                )
            if stored == "string":
                continue
            values = np.frombuffer(data[offset : offset + size], "?" if stored == "bool" else stored)
            zero = _zero_code(entry["quantization"]) if "scale" in entry.get("quantization", {}) else 0
            weights.add(str(entry["name"]), list(entry["shape"]), stored, size, values, zero)
            offset += size
    return weights


def _stored_as(entry: dict[str, Any]) -> str:
    stored: str = entry.get("quantization", {}).get("dtype", entry["dtype"])
    return stored


def _size(file: Path, entry: dict[str, Any]) -> int:
    """The bytes of a weight. Raises InputError for a type that TF.js does not have, or a shape that is none."""
    stored = _stored_as(entry)
    if stored not in SIZES:
        raise InputError(
            f"{printable(file)}: weight '{printable(entry['name'])}' is {printable(stored)}, which TF.js has not"
        )
    return count_elements(entry["shape"], SIZES[stored], file) * SIZES[stored]


def _stored(file: Path, names: list[str], wanted: int) -> bytes:
    """The first `wanted` bytes of weight files, one after the other, which lie in the folder of the model."""
    parts: list[bytes] = []
    for name in names:
        place = place_within(file.parent, name)
        if not place.exists():
            raise InputError(
                f"{printable(file)}: its weight file {shorten_text(name)} is missing; copy the whole folder"
            )
        size = regular_file(place).stat().st_size
        with place.open("rb") as stream:
            parts.append(stream.read(min(wanted, size)))
        wanted -= len(parts[-1])
    return b"".join(parts)


def _zero_code(quantization: dict[str, Any]) -> int:
    """The whole number that TF.js reads as 0; -1, which no constant holds, where all values have one sign."""
    scale, least = quantization["scale"], quantization["min"]
    code = round(-least / scale) if scale else 0
    return code if code * scale + least == 0 else -1
