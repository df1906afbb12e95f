"""Store the weights of a TF.js graph model in another type, by the converter's own hand: the graph is the same for all."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeship.formats.float16 import fits_float16

# Factors and summands are in the units of what they meet: the mean of a raw feature in float16 is off by more than its
# deviation. They are small, and stay as they are, as what has one axis does (biases).
ARITHMETIC = (
    "Add",
    "AddV2",
    "Sub",
    "Mul",
    "RealDiv",
    "Div",
    "DivNoNan",
    "Maximum",
    "Minimum",
    "SquaredDifference",
    "Pow",
)


def store_weights(folder: Path, weights: str) -> None:
    """Write the float32 kernels and tables of a graph model anew as `weights` (uint8, float16), in place."""
    from tensorflowjs.read_weights import read_weights
    from tensorflowjs.write_weights import write_weights

    file = folder / "model.json"
    model = json.loads(file.read_text(encoding="utf-8"))
    groups = read_weights(model["weightsManifest"], str(folder))
    for name in [name for group in model["weightsManifest"] for name in group["paths"]]:
        (folder / name).unlink()
    precise = _factors_and_summands(model["modelTopology"]["node"])
    entries = [entry for group in groups for entry in group]
    kernels = (item for item in entries if item["data"].ndim > 1 and item["data"].dtype == "float32")
    small = [
        glob.escape(item["name"])
        for item in kernels
        if item["name"] not in precise and (weights != "float16" or fits_float16(item["data"]))
    ]
    manifest = write_weights(groups, str(folder), write_manifest=False, quantization_dtype_map={weights: small})
    file.write_text(json.dumps({**model, "weightsManifest": manifest}), encoding="utf-8")


def _factors_and_summands(nodes: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of nodes that arithmetic reads."""
    return {name.split(":")[0] for node in nodes if node["op"] in ARITHMETIC for name in node.get("input", ())}
