"""Which layer an op belongs to: from the node names in a SavedModel's graph to the names of Keras layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgeship.errors import InputError, brief_message
from edgeship.formats.layer_names import LayerNames, scope
from edgeship.server_model import text_operators

SIGNATURE = "serving_default"


def served_nodes(saved_model: Path) -> list[Any]:
    """The nodes that the signature of an export computes, with those of the functions that it calls."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((saved_model / "saved_model.pb").read_bytes())
    meta = message.meta_graphs[0]
    ends = [tensor.name for tensor in meta.signature_def[SIGNATURE].outputs.values()]
    return text_operators.reachable_nodes(meta.graph_def, ends)


def nodes_by_op(saved_model: Path, ops: Iterable[str]) -> dict[str, list[str]]:
    """The names of the nodes of each of these op types, among all that are served."""
    names: dict[str, list[str]] = {op: [] for op in ops}
    for node in served_nodes(saved_model):
        if node.op in names:
            names[node.op].append(node.name)
    return names


def refused_model_error(
    saved_model: Path, layers: Sequence[str], tool: str, format_name: str, hint: str, message: object
) -> InputError:
    """The error for a model that a tool refuses without naming an op: by the nodes that the message tells, else those on text."""
    nodes = served_nodes(saved_model)
    told = [node for node in nodes if "/" in node.name and node.name in str(message)]
    if ops := list(dict.fromkeys(node.op for node in told or text_operators.text_nodes(nodes))):
        return unsupported_ops_error(saved_model, ops, layers, format_name, hint)
    return InputError(f"{tool} refuses the model: {summarize_message(message)}")


def unsupported_ops_error(
    saved_model: Path, ops: Sequence[str], layers: Sequence[str], format_name: str, hint: str
) -> InputError:
    """The error for ops that a format cannot express: each with the layers that use it."""
    names = nodes_by_op(saved_model, ops)
    resolver = LayerNames(layers, (node for nodes in names.values() for node in nodes))
    places: list[str] = []
    found: dict[str, None] = {}
    for op in ops:
        paths = {node: next(iter(resolver.layers_of(node)), "") for node in names[op]}
        users = list(dict.fromkeys(path.rpartition("/")[2] or scope(node) or node for node, path in paths.items()))
        users = [user for user in users if user in layers] or users
        found.update(dict.fromkeys(user for user in users if user in layers))
        word = "layer" if users and users[0] in layers else "at"
        more = ", ..." if len(users) > 3 else ""
        where = f" ({word} {', '.join(map(repr, users[:3]))}{more})" if users else ""
        places.append(f"{op}{where}")
    return InputError(f"{format_name} cannot express {'; '.join(places[:4])}. {hint}").about(found)


def summarize_message(error: Any) -> str:
    """The first lines of a tool's message, short enough for one."""
    return brief_message(error)
