"""Operators of a TensorFlow graph that read or make text, which no device format takes in: by what they are registered for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from edgeship.formats.layer_names import LayerNames, scope
from edgeship.server_model.meta_graph import called_functions, node_name

# They hold or pass text on, as they do anything.
_PASSING = ("Placeholder", "Const", "Identity", "IdentityN", "NoOp", "PartitionedCall", "StatefulPartitionedCall")


def reachable_nodes(graph: Any, ends: Iterable[str]) -> list[Any]:
    """The nodes of a GraphDef that lead to the tensors `ends`, and all of the functions that they call, in their order there."""
    nodes = {node.name: node for node in graph.node}
    pending, found = [node_name(name) for name in ends], set[str]()
    while pending:
        name = pending.pop()
        if name in nodes and name not in found:
            found.add(name)
            pending += [node_name(item) for item in nodes[name].input]
    reached = [node for node in graph.node if node.name in found]
    functions = {item.signature.name: item.node_def for item in graph.library.function}
    read = 0
    while read < len(reached):  # what a function calls comes behind it
        reached += [node for name in sorted(called_functions(reached[read])) for node in functions.pop(name, ())]
        read += 1
    return reached


def text_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """Those of the nodes that compute on text."""
    return (node for node in nodes if node.op not in _PASSING and _handles_text(node))


def _handles_text(node: Any) -> bool:
    from tensorflow.core.framework import types_pb2
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(node.op)
    if definition is None:
        return False
    arguments = (*definition.input_arg, *definition.output_arg)
    names = {argument.type_attr or argument.type_list_attr for argument in arguments} - {""}
    types = {argument.type for argument in arguments}
    for name in names & set(node.attr):
        types |= {node.attr[name].type, *node.attr[name].list.type}
    return types_pb2.DT_STRING in types


def describe_text_operators(nodes: Iterable[Any], layers: Sequence[str]) -> str:
    """The operators of these nodes, each with the layers that use it, as far as they are known: for a message."""
    users: dict[str, dict[str, None]] = {}
    nodes = list(nodes)
    known = LayerNames(layers, (node.name for node in nodes))
    for node in nodes:
        place = next(iter(known.layers_of(node.name)), "").rpartition("/")[2] or scope(node.name)
        users.setdefault(node.op, {}).update({place: None} if place else {})
    told = [f"{op} ({', '.join(map(repr, list(places)[:3]))})" if places else op for op, places in users.items()]
    return ", ".join(told[:6]) + (f" and {len(told) - 6} more" if len(told) > 6 else "")
