"""One order of nodes and weights for one graph: TensorFlow's optimizer gives them in the order of its hash tables.

That order differs from process to process, and with it the bytes of `model.json` and of the weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from edgeship.convert.tfjs.dedupe_weights import bytes_per_element, write_shards


def sort_graph(folder: Path) -> None:
    """Sort a TF.js graph model with float weights in place: nodes behind what they read, weights as their nodes."""
    file = folder / "model.json"
    model = json.loads(file.read_text(encoding="utf-8"))
    graph = json.loads(json.dumps(model["modelTopology"], sort_keys=True))  # attributes are such a table, too
    graph["node"] = _sort_nodes(graph["node"])
    functions = graph.get("library", {}).get("function", [])
    functions.sort(key=lambda function: function["signature"]["name"])
    for function in functions:
        function["nodeDef"] = _sort_nodes(function.get("nodeDef", []))
    model["modelTopology"] = graph
    bodies = (graph["node"], *(function["nodeDef"] for function in functions))
    _sort_weights(folder, model["weightsManifest"], [node["name"] for body in bodies for node in body])
    file.write_text(json.dumps(model), encoding="utf-8")


def _sort_nodes(nodes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    by_name = {node["name"]: node for node in sorted(nodes, key=lambda node: str(node["name"]))}
    read = {name: [_node_of(item) for item in node.get("input", [])] for name, node in by_name.items()}
    try:
        order = TopologicalSorter(read).static_order()  # the same for the same table in the same order
        return [by_name[name] for name in order if name in by_name]  # a function's arguments are no nodes
    except CycleError:  # a loop of TensorFlow 1
        return list(by_name.values())


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _sort_weights(folder: Path, manifest: list[dict[str, Any]], names: list[str]) -> None:
    """Texts are left as they are: their entries do not tell their sizes."""
    (group,) = manifest
    entries, paths = group["weights"], group["paths"]
    sizes = [bytes_per_element(entry) for entry in entries]
    if not all(sizes):
        return
    data = b"".join((folder / name).read_bytes() for name in paths)
    ends = list(accumulate(math.prod(entry["shape"]) * (size or 0) for entry, size in zip(entries, sizes, strict=True)))
    blobs = [data[start:end] for start, end in pairwise([0, *ends])]
    rank = {name: index for index, name in enumerate(names)}
    order = sorted(
        range(len(entries)), key=lambda index: (rank.get(entries[index]["name"], len(rank)), entries[index]["name"])
    )
    if order == sorted(order):
        return
    for name in paths:
        (folder / name).unlink()
    group["weights"] = [entries[index] for index in order]
    group["paths"] = write_shards(folder, b"".join(blobs[index] for index in order))
