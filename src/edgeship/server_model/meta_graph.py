"""A TensorFlow meta graph as its protobuf has it: the nodes of each body, where tensors come from, who calls which function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

# Operators that pass a tensor on as it is.
PASSING = {"Identity", "PlaceholderWithDefault", "StopGradient"}


@dataclass(frozen=True)
class GraphBody:
    """The nodes of the graph itself (`name` '') or of one of its functions, with the function's arguments."""

    name: str
    nodes: Mapping[str, Any]
    arguments: Sequence[str] = ()

    def trace_source(self, reference: str) -> tuple[int | None, Any]:
        """Where a tensor comes from: the number of the argument, or the node; what only passes it on is skipped."""
        for _ in range(len(self.nodes) + 1):
            name = node_name(reference)
            if name in self.arguments:
                return self.arguments.index(name), None
            node = self.nodes.get(name)
            if node is None or node.op not in PASSING or not node.input:
                return None, node
            reference = node.input[0]
        return None, None

    def leads_to(self, reference: str, tensors: Set[str]) -> bool:
        """Whether a tensor of the graph itself is one of these, perhaps passed on: the very output, not just its node."""
        for _ in range(len(self.nodes) + 1):
            if tensor_name(reference) in tensors:
                return True
            node = self.nodes.get(node_name(reference))
            if node is None or node.op not in PASSING or not node.input:
                return False
            reference = node.input[0]
        return False


@dataclass
class MetaGraph:
    """A meta graph, with who calls which function."""

    path: Path
    meta: Any
    runs_graph: bool
    bodies: dict[str, GraphBody] = field(default_factory=dict)
    callers: dict[str, list[tuple[GraphBody, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.meta.graph_def
        self.bodies[""] = GraphBody("", {node.name: node for node in graph.node})
        for function in graph.library.function:
            arguments = [argument.name for argument in function.signature.input_arg]
            nodes = {node.name: node for node in function.node_def}
            self.bodies[function.signature.name] = GraphBody(function.signature.name, nodes, arguments)
            if len(nodes) != len(function.node_def):
                raise InputError(f"{printable(self.path)}: two nodes of one name in its graph; copy the folder again")
        if not all(self.bodies[""].nodes):
            raise InputError(f"{printable(self.path)}: a node without a name in its graph")
        if len(self.bodies) != len(graph.library.function) + 1 or len(self.bodies[""].nodes) != len(graph.node):
            raise InputError(f"{printable(self.path)}: two functions or nodes of one name in its graph")
        for body in self.bodies.values():
            for node in body.nodes.values():
                for name in called_functions(node):
                    self.callers.setdefault(name, []).append((body, node))

    def concrete_function(self, function: str) -> Any:
        """How the object graph holds a function, or None."""
        return self.meta.object_graph_def.concrete_functions.get(function)

    @cached_property
    def reachable(self) -> frozenset[str]:
        """Functions that loading makes callable, or that a gradient calls: by whichever list they are named."""
        object_graph, library = self.meta.object_graph_def, self.meta.graph_def.library
        names = set(object_graph.concrete_functions)
        for node in object_graph.nodes:
            names.update(node.function.concrete_functions)
            names.add(node.bare_concrete_function.concrete_function_name)
            names.add(node.captured_tensor.concrete_function)
        names.update(gradient.gradient_func for gradient in (*library.gradient, *library.registered_gradients))
        return frozenset(names) | self.interchangeable

    @cached_property
    def interchangeable(self) -> frozenset[str]:
        """Functions that TensorFlow calls in place of others, with their arguments, on the device that they prefer."""
        functions = self.meta.graph_def.library.function
        return frozenset(item.signature.name for item in functions if "api_implements" in item.attr)


def called_functions(node: Any) -> set[str]:
    """Names of the functions that a node may call: its operator and every attribute that is a function."""
    names = {node.op}
    for value in node.attr.values():
        if value.HasField("func"):
            names.add(value.func.name)
        elif value.HasField("list"):
            names |= {item.name for item in value.list.func}
    return names


def node_name(reference: str) -> str:
    """The node that an input of another refers to."""
    return reference.lstrip("^").split(":")[0]


def tensor_name(reference: str) -> str:
    """The tensor that an input refers to: a node's first where it names none."""
    return reference if ":" in reference else f"{reference}:0"


# What a last operator says of the numbers; those that only pass them on, or change their shape or type, are skipped.
ACTIVATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_LINEAR = {
    *(
        "MatMul",
        "BatchMatMulV2",
        "BiasAdd",
        "Conv2D",
        "Conv1D",
        "DepthwiseConv2dNative",
        "Add",
        "AddV2",
        "Sub",
        "Mul",
        "Mean",
    ),
    *("FusedBatchNormV3", "Einsum", "AvgPool"),
}
_RESHAPING = PASSING | {"Cast", "Reshape", "Squeeze", "ExpandDims", "EnsureShape"}


def find_activation(graph: Any, reference: str) -> str:
    """What a tensor of a GraphDef went through last: softmax, sigmoid, none (a linear operator), or unknown."""
    functions = {item.signature.name: item for item in graph.library.function}
    nodes = {node.name: node for node in graph.node}
    for _ in range(10_000):  # functions that call each other in a circle
        node = nodes.get(node_name(reference))
        if node is None:
            return "unknown"
        called = functions.get(node.attr["f"].func.name) if node.op.endswith("PartitionedCall") else None
        if called is not None:
            place = int(reference.rpartition(":")[2]) if reference.rpartition(":")[2].isdecimal() else 0
            nodes = {item.name: item for item in called.node_def}
            reference = called.ret[called.signature.output_arg[place].name]
        elif node.op in _RESHAPING and node.input:
            reference = node.input[0]
        else:
            return "none" if node.op in _LINEAR else ACTIVATIONS.get(node.op, "unknown")
    return "unknown"
