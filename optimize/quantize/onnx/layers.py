"""The operators of a float `.onnx` by the Keras layers that they came from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import Any

from edgeship.formats.layer_names import LayerNames, scope
from edgeship.light_dataclass import dataclass
from edgeship.optimize.quantize.onnx import reader


@dataclass(frozen=True)
class OnnxLayer:
    """A layer of a float `.onnx`.

    `name`: layers whose operators were fused are joined as `conv + bn`; operators of no known layer stand under their scope.
    `islands`: the operators that could compute in int8, as `reader.float_islands` calls them; `weight_bytes` those of float
    constants that are no vectors.
    """

    name: str
    islands: tuple[str, ...]
    weight_bytes: int

    def is_float(self, islands: Collection[str]) -> bool:
        """Whether a quantized file with these operators in float leaves all of the layer in float."""
        return {*self.islands} <= {*islands}


def read(model: str, layers: Sequence[str]) -> list[OnnxLayer]:
    """The layers of a float `.onnx`, as the quantizer wants it, in the order in which they run.

    `layers` are the Keras model's.
    """
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    places = {node.name: number for number, node in enumerate(graph.node)}
    names = LayerNames(layers, (name for node in graph.node for name in (node.name, *node.output)))
    tensors = dict.fromkeys(
        name for node in graph.node for name in (node.name, *node.output, *node.input) if scope(name)
    )
    paths = dict.fromkeys(path for name in tensors for path in (names.layers_of(name) or (scope(name),)))
    groups: list[tuple[list[str], set[str]]] = []
    for path in paths:
        members = set(reader.members_of(graph, [path], layers))
        same = [group for group in groups if group[1] & members]
        groups = [group for group in groups if group not in same]
        if members:
            own_paths = [*(item for group in same for item in group[0]), path]
            groups.append((own_paths, members.union(*(group[1] for group in same))))
    groups.sort(key=lambda group: min(places[name] for name in group[1]))
    found = [_describe_layer(graph, " + ".join(own), members) for own, members in groups]
    return [layer for layer in found if layer.islands]


def _describe_layer(graph: Any, name: str, members: Collection[str]) -> OnnxLayer:
    import onnx

    nodes = [node for node in graph.node if node.name in members]
    read_by = {tensor for node in nodes for tensor in node.input}
    sizes = [
        4 * prod(item.dims)
        for item in graph.initializer
        if item.name in read_by and len(item.dims) > 1 and item.data_type == onnx.TensorProto.FLOAT
    ]
    islands = (f"{node.op_type} {node.name}" for node in nodes if node.op_type not in reader.NO_ISLANDS)
    return OnnxLayer(name, tuple(islands), sum(sizes))
