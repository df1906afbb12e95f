"""Store equal weights once: the TF.js converter writes a copy for every use of a shared or unrolled layer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

# Browsers cache files up to this size; the converter's own default.
SHARD = 4 * 1024 * 1024
# Copies of shapes and axes are not worth a rewiring.
LEAST_BYTES = 64
CONTROL_FLOW = ("Enter", "Switch", "Merge", "While", "StatelessWhile", "If", "StatelessIf")
SIZES = {"float32": 4, "int32": 4, "bool": 1, "uint8": 1, "uint16": 2, "float16": 2}


def dedupe(folder: Path) -> int:
    """Merge equal constants of a TF.js graph model in place. Returns how many bytes that saved.

    Left alone: graphs with loops (a constant inside a loop's frame is not one outside) and weights of other dtypes.
    """
    file = folder / "model.json"
    model = json.loads(file.read_text(encoding="utf-8"))
    nodes, manifest = model["modelTopology"]["node"], model["weightsManifest"]
    sizes = [bytes_per_element(entry) for group in manifest for entry in group["weights"]]
    if any(node["op"] in CONTROL_FLOW for node in nodes) or not all(sizes) or len(manifest) != 1:
        return 0
    data = b"".join((folder / name).read_bytes() for name in manifest[0]["paths"])
    # Without control flow it does not matter what a constant waits for.
    plain = {node["name"] for node in nodes if node["op"] == "Const"}
    entries, blobs, same = _split_duplicates(manifest[0]["weights"], data, plain)
    if not same:
        return 0
    model["modelTopology"]["node"] = [_rewire_inputs(node, same) for node in nodes if node["name"] not in same]
    for name in manifest[0]["paths"]:
        (folder / name).unlink()
    manifest[0]["weights"], manifest[0]["paths"] = entries, write_shards(folder, b"".join(blobs))
    file.write_text(json.dumps(model), encoding="utf-8")
    return len(data) - sum(map(len, blobs))


def bytes_per_element(entry: dict[str, Any]) -> int | None:
    """How many bytes a number of a weight takes as it is stored; None for texts and other dtypes."""
    return SIZES.get(entry.get("quantization", {}).get("dtype", entry["dtype"]))


def _split_duplicates(
    entries: list[dict[str, Any]], data: bytes, plain: set[str]
) -> tuple[list[dict[str, Any]], list[bytes], dict[str, str]]:
    """The entries to keep, their bytes, and `{name of a copy: name of what it equals}`."""
    uniques: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    same: dict[str, str] = {}
    first: dict[tuple[str, bytes], str] = {}
    offset = 0
    for entry in entries:
        size = int(np.prod(entry["shape"])) * (bytes_per_element(entry) or 0)
        blob, offset = data[offset : offset + size], offset + size
        kind = json.dumps({key: value for key, value in entry.items() if key != "name"}, sort_keys=True)
        key = (kind, hashlib.sha256(blob).digest())
        if entry["name"] in plain and size >= LEAST_BYTES:
            if key in first:
                same[entry["name"]] = first[key]
                continue
            first[key] = entry["name"]
        uniques.append(entry)
        blobs.append(blob)
    return uniques, blobs, same


def _rewire_inputs(node: dict[str, Any], same: dict[str, str]) -> dict[str, Any]:
    def rewire_name(name: str) -> str:
        control, bare = ("^", name[1:]) if name.startswith("^") else ("", name)
        base, colon, port = bare.partition(":")
        return f"{control}{same.get(base, base)}{colon}{port}"

    return {**node, "input": [rewire_name(name) for name in node["input"]]} if "input" in node else node


def write_shards(folder: Path, data: bytes) -> list[str]:
    """Write the weights' bytes in files of at most `SHARD`, as the converter calls them, and return their names."""
    count = max(1, -(-len(data) // SHARD))
    names = [f"group1-shard{index + 1}of{count}.bin" for index in range(count)]
    for index, name in enumerate(names):
        (folder / name).write_bytes(data[index * SHARD : (index + 1) * SHARD])
    return names
