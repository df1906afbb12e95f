"""Fold batch normalization into the depthwise convolution before it, in a frozen graph on its way to TF.js.

Keras 3 exports batch normalization as a product and a sum. TensorFlow's optimizer moves such a product into the kernel of a
plain convolution, not into that of a depthwise one, and tensorflowjs folds only ops called FusedBatchNorm. Here any chain of
products and sums with constants per channel behind a depthwise convolution is folded, whoever wrote the model:
(conv(x, W) + b) * s + t = conv(x, W * s) + (b * s + t).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from edgeship.convert.export import probe
from edgeship.light_dataclass import dataclass
from edgeship.types import TensorSpec

SUMS = ("Add", "AddV2", "BiasAdd", "Sub")
TOLERANCE = 1e-4  # of the largest value; the order of float32 roundings is another


@contextlib.contextmanager
def folding_in_conversion(inputs: Sequence[TensorSpec]) -> Iterator[list[str]]:
    """While this lasts tensorflowjs folds these, too; yields the names of the convolutions as they are folded.

    Raises CheckError in the conversion where the folded graph answers otherwise than before to a random input.
    """
    from tensorflowjs.converters import fold_batch_norms as library

    original, conv_names = library.fold_batch_norms, list[str]()

    def fold_both(graph: Any) -> Any:
        before = original(graph)
        after = type(before).FromString(before.SerializeToString())
        new_names = fold_graph(after)
        if new_names and _check_fold(before, after, inputs):
            conv_names.extend(new_names)
            return after
        return before

    library.fold_batch_norms = fold_both
    try:
        yield conv_names
    finally:
        library.fold_batch_norms = original


@dataclass
class _Chain:
    """Products and sums behind a convolution: `scale` and `shift` per channel are what they come to."""

    channels: int
    scale: Any = 1.0
    shift: Any = 0.0
    nodes: list[Any] = field(default_factory=list)
    has_product: bool = False

    def append_node(self, node: Any, value: Any) -> None:
        if node.op == "Mul":
            self.scale, self.shift, self.has_product = self.scale * value, self.shift * value, True
        else:
            self.shift = self.shift - value if node.op == "Sub" else self.shift + value
        self.nodes.append(node)


def fold_graph(graph: Any) -> list[str]:
    """Fold all of a GraphDef in place. Returns the names of the convolutions."""
    nodes = {node.name: node for node in graph.node}
    readers = _readers_by_node(graph)
    conv_names, dead_nodes = [], set[str]()
    for conv in [node for node in graph.node if node.op == "DepthwiseConv2dNative"]:
        kernel = _float_constant(nodes.get(_node_name(conv.input[1])))
        if kernel is None or conv.attr["data_format"].s not in (b"", b"NHWC"):
            continue
        chain = _Chain(kernel.shape[2] * kernel.shape[3])
        tail = conv
        while len(readers[tail.name]) == 1:
            node = readers[tail.name][0]
            value = _per_channel(node, tail.name, nodes, chain.channels)
            if value is None:
                break
            chain.append_node(node, value)
            tail = node
        if chain.has_product:
            dead_nodes |= _rewrite_chain(graph, conv, kernel, chain)
            conv_names.append(conv.name)
    if conv_names:
        _drop_nodes(graph, dead_nodes, readers)
    return conv_names


def _readers_by_node(graph: Any) -> dict[str, list[Any]]:
    """The nodes that read a node, or only wait for it."""
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in graph.node:
        for reference in node.input:
            readers[_node_name(reference)].append(node)
    return readers


def _node_name(reference: str) -> str:
    return reference.removeprefix("^").partition(":")[0]


def _float_constant(node: Any) -> Any:
    from tensorflow import make_ndarray

    if node is None or node.op != "Const":
        return None
    value = make_ndarray(node.attr["value"].tensor)
    return value if value.dtype == np.float32 else None


def _per_channel(node: Any, tail: str, nodes: dict[str, Any], channels: int) -> Any:
    """The constant that a node adds to the tail or multiplies it with, one per channel (float64); None for another node."""
    if node.op not in ("Mul", *SUMS) or len(node.input) != 2 or node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    first, second = map(_node_name, node.input)
    if first != tail and node.op in ("Sub", "BiasAdd"):
        return None
    value = _float_constant(nodes.get(second if first == tail else first))
    if value is None or value.ndim > 4 or value.size not in (1, channels) or (value.shape or (1,))[-1] != value.size:
        return None
    return np.broadcast_to(value.astype(np.float64).ravel(), (channels,))


def _rewrite_chain(graph: Any, conv: Any, kernel: Any, chain: _Chain) -> set[str]:
    """The convolution gets the scaled kernel, the last node of the chain becomes the sum. Returns the nodes to remove."""
    scale, shift = (np.broadcast_to(value, (chain.channels,)) for value in (chain.scale, chain.shift))
    conv.input[1] = _add_constant(graph, f"{conv.name}/folded_kernel", kernel * scale.reshape(kernel.shape[2:]))
    last = chain.nodes[-1]
    last.op = "BiasAdd"
    last.input[:] = [conv.name, _add_constant(graph, f"{conv.name}/folded_shift", shift)]
    last.attr["data_format"].s = b"NHWC"
    return {node.name for node in chain.nodes[:-1]}


def _add_constant(graph: Any, name: str, value: Any) -> str:
    from tensorflow import make_tensor_proto

    node = graph.node.add(name=name, op="Const")
    node.attr["value"].tensor.CopyFrom(make_tensor_proto(value.astype(np.float32)))
    node.attr["dtype"].type = node.attr["value"].tensor.dtype
    return name


def _drop_nodes(graph: Any, dead_nodes: set[str], before: dict[str, list[Any]]) -> None:
    """Remove nodes, and the constants that something read before and nothing reads now."""
    live_nodes = [node for node in graph.node if node.name not in dead_nodes]
    read_names = {_node_name(reference) for node in live_nodes for reference in node.input}
    live_nodes = [
        node for node in live_nodes if node.op != "Const" or node.name in read_names or not before.get(node.name)
    ]
    copies = [type(node).FromString(node.SerializeToString()) for node in live_nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _check_fold(before: Any, after: Any, inputs: Sequence[TensorSpec]) -> bool:
    """Whether a random input could be tried; raises CheckError where the two graphs answer it differently."""
    readers = _readers_by_node(before)
    ends = [f"{node.name}:0" for node in before.node if not readers.get(node.name) and node.op == "Identity"]
    placeholders = {node.name for node in before.node if node.op == "Placeholder"}
    for feeds in probe.random_feeds([spec for spec in inputs if spec.name in placeholders], samples=2):
        try:
            answers, second_answers = _run_graph(before, feeds, ends), _run_graph(before, feeds, ends)
        except Exception:  # noqa: S112  # a model's own code can fail in any way on a size it does not take
            continue
        steady = {
            end: answers[end] for end in ends if np.array_equal(answers[end], second_answers[end], equal_nan=True)
        }
        probe.check_close(
            steady, _run_graph(after, feeds, ends), TOLERANCE, "the graph with folded batch normalization"
        )
        return True
    return False


def _run_graph(graph: Any, feeds: probe.Arrays, ends: Sequence[str]) -> probe.Arrays:
    import tensorflow as tf

    with tf.Graph().as_default() as tf_graph, tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        session_feeds = {tf_graph.get_tensor_by_name(f"{name}:0"): value for name, value in feeds.items()}
        return dict(zip(ends, session.run(list(ends), session_feeds), strict=True))
