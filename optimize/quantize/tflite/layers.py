"""The operators of a float `.tflite` by the Keras layers that they came from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from edgeship.formats import flatbuffer
from edgeship.formats.layer_names import LayerNames, scope
from edgeship.light_dataclass import dataclass
from edgeship.optimize.quantize.tflite import reader


@dataclass(frozen=True)
class TfliteLayer:
    """A layer of a float `.tflite`: its operators, and the tensors by which they are found.

    `name`: layers that the converter fused into one operator, or that share one, are joined as `conv + bn + relu`; operators
    of no known layer stand under their scope in the graph. `scopes` are the operators' output tensors, `outputs` the tensors of
    the main graph that others read, `weight_bytes` those of float constants.
    """

    name: str
    operators: tuple[str, ...]
    scopes: tuple[str, ...]
    outputs: tuple[str, ...]
    weight_bytes: int

    def is_float(self, islands: Collection[str]) -> bool:
        """Whether a quantized file with these operators in float (`reader.float_islands`) leaves all of the layer in float."""
        floats = [island.partition(" ")[::2] for island in islands]
        computing = [
            (kind, scope)
            for kind, scope in zip(self.operators, self.scopes, strict=True)
            if kind not in reader.NO_ISLANDS
        ]
        # What only moves values is quantized between float neighbours, too, unless it is kept.
        return bool(computing) and all(
            any(kind == other and scope.startswith(f"{name};") for other, name in floats) for kind, scope in computing
        )


def read(model: str, layers: Sequence[str]) -> list[TfliteLayer]:
    """The layers of a float `.tflite` that compute on float tensors, in the order in which they run.

    `layers` are the Keras model's, in its own order. Raises InputError where the file is no TFLite model.
    """
    content = flatbuffer.unpack(reader.read(model))
    kinds = flatbuffer.operator_names(content)
    operators = [
        _Operator(content, kinds, number, item)
        for number, graph in enumerate(content.subgraphs)
        for item in graph.operators or []
    ]
    names = LayerNames(layers, (name for item in operators for name in (*item.outputs, *item.constants)))
    _find_layers(operators, names)
    return [
        _describe_layer(content, group, layers)
        for group in _group_by_layer(operators)
        if any(item.floats for item in group)
    ]


class _Operator:
    """An operator: its kind, the names of what it makes and of the constants that it reads, and its layers."""

    def __init__(self, model: Any, kinds: Sequence[str], number: int, item: Any) -> None:
        from litert_quantizer.utils import tfl_flatbuffer_utils

        graph = model.subgraphs[number]
        self.graph = number
        self.kind = kinds[item.opcodeIndex]
        self.scope = str(tfl_flatbuffer_utils.get_op_scope(item, graph.tensors))
        output_tensors = [graph.tensors[index] for index in item.outputs if index >= 0]
        input_tensors = [graph.tensors[index] for index in item.inputs if index >= 0]
        constant_tensors = [tensor for tensor in input_tensors if model.buffers[tensor.buffer].data is not None]
        self.outputs = [tensor.name.decode() for tensor in output_tensors]
        self.inputs = [tensor.name.decode() for tensor in input_tensors if tensor not in constant_tensors]
        self.constants = [tensor.name.decode() for tensor in constant_tensors]
        self.weights = {
            tensor.buffer: len(model.buffers[tensor.buffer].data)
            for tensor in constant_tensors
            if tensor.type == flatbuffer.FLOAT32
        }
        self.floats = any(tensor.type == flatbuffer.FLOAT32 for tensor in output_tensors)
        self.name_groups = (self.outputs, self.constants)
        self.layers: tuple[str, ...] = ()
        self.has_known_layer = False


def _find_layers(operators: Sequence[_Operator], names: LayerNames) -> None:
    """Find each operator's layers.

    By its outputs, else (a model's output has a name of its own) by its constants, else the operator is what the
    converter made of the layer before it; where no layer is known, scopes of the graph stand for layers.
    """
    producers: dict[tuple[int, str], _Operator] = {}
    for item in operators:
        before = [producers[item.graph, name] for name in item.inputs if (item.graph, name) in producers]
        layer_groups = [tuple(layer for name in group for layer in names.layers_of(name)) for group in item.name_groups]
        scopes = [tuple(candidate for name in group if (candidate := scope(name))) for group in item.name_groups]
        parent = before[0] if len(before) == 1 else None
        item.has_known_layer = any(layer_groups) or bool(parent and parent.has_known_layer)
        parent_layers = [parent.layers] if parent else []
        ways = [
            *layer_groups,
            *(parent_layers if parent and parent.has_known_layer else []),
            *scopes,
            *parent_layers,
            (item.scope.strip(";"),),
        ]
        item.layers = tuple(dict.fromkeys(next(candidate for candidate in ways if candidate)))
        producers.update({(item.graph, name): item for name in item.outputs})


def _group_by_layer(operators: Sequence[_Operator]) -> list[list[_Operator]]:
    """Operators that share a layer belong together, in the order of their first."""
    groups: list[tuple[set[str], list[_Operator]]] = []
    for item in operators:
        own_layers = set(item.layers)
        overlaps = [group for group in groups if group[0] & own_layers]
        if not overlaps:
            groups.append((own_layers, [item]))
            continue
        first, *others = overlaps
        first[0].update(own_layers, *(other[0] for other in others))
        first[1].extend([*(operator for other in others for operator in other[1]), item])
        groups = [group for group in groups if group not in others]
    return [group for _, group in groups]


def _describe_layer(model: Any, group: Sequence[_Operator], layers: Sequence[str]) -> TfliteLayer:
    order = {name: position for position, name in enumerate(layers)}
    own_layers = dict.fromkeys(layer for item in group for layer in item.layers)
    layer_names = sorted(own_layers, key=lambda layer: order.get(layer.rpartition("/")[2], len(order)))
    weights = {buffer: size for item in group for buffer, size in item.weights.items()}
    return TfliteLayer(
        name=" + ".join(layer_names),
        operators=tuple(item.kind for item in group),
        scopes=tuple(item.scope for item in group),
        outputs=_border_outputs(model, group),
        weight_bytes=sum(weights.values()),
    )


def _border_outputs(model: Any, group: Sequence[_Operator]) -> tuple[str, ...]:
    """The float tensors of the main graph that the group makes and that something else reads, or the model gives out."""
    from litert_quantizer.utils import tfl_flatbuffer_utils

    graph = model.subgraphs[0]
    inside = {name for item in group if item.graph == 0 for name in item.outputs}
    scopes = {item.scope for item in group}
    read_indices = {int(index) for index in graph.outputs}
    for item in graph.operators:
        if tfl_flatbuffer_utils.get_op_scope(item, graph.tensors) not in scopes:
            read_indices.update(int(index) for index in item.inputs if index >= 0)
    read_tensors = (graph.tensors[index] for index in sorted(read_indices))
    return tuple(
        tensor.name.decode()
        for tensor in read_tensors
        if tensor.type == flatbuffer.FLOAT32 and tensor.name.decode() in inside
    )
