"""Ops that a format lacks but can express otherwise, replaced in a copy of the SavedModel.

Erfc: TensorFlow's exact GELU uses it; ONNX and TF.js have Erf only. erfc(x) = 1 - erf(x); inside a GELU the cancellation for
large x costs less than a float32 rounding step of the result.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from edgeship.convert.rewrites.einsum import replace_einsum


def decompose_ops(source: Path, folder: Path, einsum: bool = False) -> Path:
    """The SavedModel itself where nothing has to be replaced, else a copy of it in `folder` (its variables linked).

    `einsum`: replace Einsum nodes, too.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((source / "saved_model.pb").read_bytes())
    graph = message.meta_graphs[0].graph_def
    has_changed = _replace_in_graph(graph)
    for function in graph.library.function:
        has_changed |= _replace_in_function(function)
    if einsum:
        bodies = [(graph.node, False), *((function.node_def, True) for function in graph.library.function)]
        for nodes, in_function in bodies:
            for node in [node for node in nodes if node.op == "Einsum"]:
                has_changed |= replace_einsum(node, nodes, in_function)
    if not has_changed:
        return source
    for item in source.rglob("*"):
        copy = folder / item.relative_to(source)
        if item.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif item.name != "saved_model.pb":
            copy.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(item, copy)
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    return folder


def link_or_copy(file: Path, place: Path) -> None:
    """An unchanged file in another place: its bytes once more on the disk only where that is another one."""
    try:
        os.link(file, place)  # a symbolic link is nothing that a digest takes
    except OSError:
        shutil.copyfile(file, place)


def _replace_in_graph(graph: Any) -> bool:
    erfc_nodes = [node for node in graph.node if node.op == "Erfc"]
    for node in erfc_nodes:
        _replace_erfc(node, graph.node, in_function=False)
    return bool(erfc_nodes)


def _replace_in_function(function: Any) -> bool:
    """In a function's body a tensor is called node:output:index, and Sub's output is not called like Erfc's."""
    erfc_nodes = [node for node in function.node_def if node.op == "Erfc"]
    for node in erfc_nodes:
        _replace_erfc(node, function.node_def, in_function=True)
    new_outputs = {f"{node.name}:y:0": f"{node.name}:z:0" for node in erfc_nodes}
    if new_outputs:
        for node in function.node_def:
            for index, name in enumerate(node.input):
                node.input[index] = new_outputs.get(name, name)
        for key, name in list(function.ret.items()):
            function.ret[key] = new_outputs.get(name, name)
    return bool(erfc_nodes)


def _replace_erfc(node: Any, nodes: Any, in_function: bool) -> None:
    """Turn one Erfc node into 1 - Erf in place."""
    import numpy as np
    from tensorflow import make_tensor_proto

    dtype = node.attr["T"].type
    erf, one = nodes.add(), nodes.add()
    erf.name, erf.op = f"{node.name}/erf", "Erf"
    erf.input.extend(node.input)
    erf.attr["T"].type = dtype
    one.name, one.op = f"{node.name}/one", "Const"
    one.attr["dtype"].type = dtype
    one.attr["value"].tensor.CopyFrom(make_tensor_proto(np.float32(1), dtype))
    node.op = "Sub"
    del node.input[:]
    node.input.extend([one.name + (":output:0" if in_function else ""), erf.name + (":y:0" if in_function else "")])
