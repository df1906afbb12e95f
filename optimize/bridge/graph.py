"""Walking the graph of a Keras 3 functional model call by call, through nested models as if they were laid out flat."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from edgeship.light_dataclass import dataclass


class BridgeError(Exception):
    """The model cannot be rebuilt in tf_keras; the message names the layer and the reason."""


@dataclass(frozen=True)
class LayerCall:
    """One call in the graph: the operation, the names of the models around it, its arguments with values filled in.

    `number` is which of the operation's own calls this is; `tensors` are the values of its tensor arguments, in order.
    """

    operation: Any
    prefix: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    number: int
    tensors: list[Any]


def functional_graph(model: Any) -> Any:
    """The graph of a functional or built Sequential model; None of one whose own code decides what it computes."""
    if not type(model).call.__module__.startswith("keras."):
        return None
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_nodes_by_depth") else None


def walk_calls(
    graph: Any, inputs: Sequence[Any], call: Callable[[LayerCall], Any], prefix: str = "", training: bool | None = None
) -> dict[int, Any]:
    """Call `call` for each call in the graph, in its order; returns the value of each symbolic tensor, by its id.

    `training` is the mode that the nested model itself was called in. Raises BridgeError naming the layer where a
    call fails.
    """
    values = dict(zip(map(id, graph.inputs), inputs, strict=True))
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input or any(id(tensor) not in values for tensor in node.input_tensors):
                continue
            try:
                outputs = _visit_node(node, values, call, prefix, training)
            except (TypeError, ValueError) as error:
                raise BridgeError(f"layer '{prefix}{node.operation.name}' cannot be rebuilt ({error})") from error
            values |= dict(zip(map(id, node.outputs), keras.tree.flatten(outputs), strict=True))
    return values


def _visit_node(
    node: Any, values: Mapping[int, Any], call: Callable[[LayerCall], Any], prefix: str, training: bool | None
) -> Any:
    operation = node.operation
    args, kwargs = node.arguments.fill_in(values)
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    inner = functional_graph(operation) if isinstance(operation, keras.Model) else None
    if inner is not None:
        inputs = keras.tree.flatten(args[0] if args else kwargs["inputs"])
        mode = kwargs.get("training", training)
        inner_values = walk_calls(inner, inputs, call, f"{prefix}{valid_scope_name(operation.name)}/", mode)
        return fill_structure(inner._outputs_struct, inner_values)
    if training is not None and getattr(operation, "_call_has_training_arg", False):
        kwargs.setdefault("training", training)
    tensors = [values[id(tensor)] for tensor in node.arguments.keras_tensors]
    return call(LayerCall(operation, prefix, args, kwargs, operation._inbound_nodes.index(node), tensors))


def fill_structure(structure: Any, values: Mapping[int, Any]) -> Any:
    """A structure of symbolic tensors with their values in their places."""
    return keras.tree.map_structure(lambda tensor: values[id(tensor)], structure)


def named_arguments(layer: Any, args: Sequence[Any]) -> dict[str, Any]:
    """Positional arguments after the first under their names: wrappers pass on no others."""
    names = list(inspect.signature(layer.call).parameters)
    return {name: value for name, value in zip(names[1:], args[1:], strict=False) if value is not None}


def valid_scope_name(name: str) -> str:
    """A name that TensorFlow takes as a scope."""
    return re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
