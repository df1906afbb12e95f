"""What makes tf2onnx give the same bytes for the same model: it names and orders nodes by addresses, hashes and its own past."""

from __future__ import annotations

from typing import Any

FIRST = 1 << 32  # above all positions of inputs, which stand among the numbers of objects


def sort_graph(graph: Any) -> None:
    """Sort a GraphDef's nodes by name: TensorFlow's optimizer gives them in the order of its hash tables.

    tf2onnx keeps the first of equal constants, and numbers names in the order of its work. Functions, whose names TensorFlow
    numbers through all that a process does, are named by the order in which the nodes call them; others are left out.
    """
    library = {function.signature.name: function for function in graph.library.function}
    names: dict[str, str] = {}
    bodies = [graph.node]
    for body in bodies:  # grows by the functions that are called
        ordered = sorted(body, key=lambda node: str(node.name))
        del body[:]
        body.extend(ordered)
        for name in (name for node in body for name in (node.op, *(item.name for item in _references(node)))):
            if name in library and name not in names:
                names[name] = f"function_{len(names)}"
                bodies.append(library[name].node_def)
    for node in (node for body in bodies for node in body):
        node.op = names.get(node.op, node.op)
        for reference in _references(node):
            reference.name = names.get(reference.name, reference.name)
    for name, new_name in names.items():
        library[name].signature.name = new_name
    functions = [library[name] for name in names]
    del graph.library.function[:]
    graph.library.function.extend(functions)


def _references(node: Any) -> list[Any]:
    """Where a node names functions, in the order of its attributes."""
    attributes = [node.attr[key] for key in sorted(node.attr)]
    return [item for attribute in attributes for item in (attribute.func, *attribute.list.func) if item.name]


def restart_names() -> None:
    """Let names not tell what was converted before, nor where objects lie in memory; strings hash alike in our processes."""
    from tf2onnx import utils
    from tf2onnx.graph import Node
    from tf2onnx.optimizer import einsum_optimizer

    utils.INTERNAL_NAME = 1
    Node.__hash__ = lambda node: hash(node.name)  # type: ignore[method-assign]  # some are walked through as a set
    einsum_optimizer.id = _Numbers()  # it writes an object's id into names


class _Numbers:
    """As `id`, in the order of the first call; objects are kept, so that no number is another's later."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, object]] = {}

    def __call__(self, item: object) -> int:
        return self._known.setdefault(id(item), (FIRST + len(self._known), item))[0]
