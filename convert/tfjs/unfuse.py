"""Undo fusions that TF.js cannot run: TensorFlow's optimizer adds any tensor in a fused product, TF.js only a vector.

Recurrent layers meet this: x W + h U becomes one fused op with h U in the place of the bias.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

PLAIN = {"_FusedMatMul": "MatMul", "_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
ACTIVATIONS = ("Relu", "Relu6", "Elu", "Sigmoid", "Tanh")
OWN = {
    "MatMul": ("T", "transpose_a", "transpose_b"),
    "Conv2D": ("T", "strides", "padding", "data_format", "dilations", "explicit_paddings", "use_cudnn_on_gpu"),
    "DepthwiseConv2dNative": ("T", "strides", "padding", "data_format", "dilations", "explicit_paddings"),
}


def unfuse(folder: Path) -> int:
    """Split such ops of a TF.js graph model in place. Returns how many there were."""
    file = folder / "model.json"
    model = json.loads(file.read_text(encoding="utf-8"))
    shapes = {entry["name"]: entry["shape"] for group in model["weightsManifest"] for entry in group["weights"]}
    graph = model["modelTopology"]
    bodies = [(graph, "node"), *((body, "nodeDef") for body in graph.get("library", {}).get("function", []))]
    count = 0
    for body, key in bodies:
        nodes = []
        for node in body.get(key, []):
            parts = _split_fused_node(node, shapes, key == "nodeDef")
            count += len(parts) > 1
            nodes += parts
        body[key] = nodes
    if count:
        file.write_text(json.dumps(model), encoding="utf-8")
    return count


def _split_fused_node(node: dict[str, Any], shapes: dict[str, list[int]], in_function: bool) -> list[dict[str, Any]]:
    """The node itself, or product, sum and activation; the last one has the node's name."""
    plain = PLAIN.get(node["op"])
    fused_ops = [
        base64.b64decode(item).decode()
        for item in node.get("attr", {}).get("fused_ops", {}).get("list", {}).get("s", [])
    ]
    if (
        plain is None
        or fused_ops[:1] != ["BiasAdd"]
        or len(fused_ops) > 2
        or not set(fused_ops[1:]) <= set(ACTIVATIONS)
    ):
        return [node]
    bias = node["input"][2]
    if len(shapes.get(bias.split(":")[0], [])) == 1:
        return [node]
    port = {"MatMul": ":product:0", "AddV2": ":z:0"} if in_function else {}
    kind = {"T": node["attr"]["T"]}
    attributes = {key: node["attr"][key] for key in OWN[plain] if key in node["attr"]}
    product = {"name": f"{node['name']}/product", "op": plain, "input": node["input"][:2], "attr": attributes}
    sum_name = f"{node['name']}/sum" if fused_ops[1:] else node["name"]
    first = product["name"] + port.get(plain, ":output:0" if in_function else "")
    control = [name for name in node["input"] if name.startswith("^")]
    parts = [product, {"name": sum_name, "op": "AddV2", "input": [first, bias, *control], "attr": kind}]
    if fused_ops[1:]:
        parts.append(
            {"name": node["name"], "op": fused_ops[1], "input": [sum_name + port.get("AddV2", "")], "attr": kind}
        )
    return parts
