"""Which layers a runtime's error is about: LiteRT tells the number of an operator, ONNX Runtime the name of a node."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edgeship.formats import flatbuffer
from edgeship.formats.layer_names import LayerNames, scope

_OPERATOR = re.compile(r"Node number (\d+) \((\w+)\)")
_NODE = re.compile(r"Name:'([^']+)'")


def failing_layers(message: str, file: Path, layers: Sequence[str]) -> tuple[str, ...]:
    """The Keras layers (of all the model's `layers`), or scopes of the graph, at which a `.tflite` or `.onnx` failed.

    Empty where the message does not tell.
    """
    if match := _OPERATOR.search(message):
        graph = flatbuffer.unpack(file.read_bytes()).subgraphs[0]
        names = [tensor.name.decode() for tensor in graph.tensors]
        number = int(match[1])
        # Delegates count behind the operators that they took.
        failing = [names[index] for index in graph.operators[number].outputs] if number < len(graph.operators) else []
    else:
        failing = names = _NODE.findall(message)
    known = LayerNames(layers, names)
    found = [layer for name in failing for layer in known.layers_of(name) or filter(None, [scope(name)])]
    return tuple(dict.fromkeys(found))
