"""What makes tf2onnx give the same bytes for the same model: it names and orders nodes by addresses, hashes and its own past."""

from __future__ import annotations

from typing import Any

FIRST = 1 << 32  # above all positions of inputs, which stand among the numbers of objects


def sort_nodes(graph: Any) -> None:
    """Nodes and functions of a GraphDef by name: TensorFlow's optimizer gives them in the order of its hash tables.

    tf2onnx keeps the first of equal constants, and numbers names in the order of its work.
    """
    for items, key in (
        (graph.node, lambda item: item.name),
        (graph.library.function, lambda item: item.signature.name),
    ):
        ordered = sorted(items, key=key)
        del items[:]
        items.extend(ordered)


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
