"""What the tensors of a float `.tflite` hold while it runs on representative data."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from edgeship.data import Batch
from edgeship.formats import flatbuffer
from edgeship.optimize.quantize.ranges import ObservedTensor, Range


def observe_ranges(content: bytes, feeds: Iterable[tuple[str, Batch]]) -> dict[str, dict[str, Range]]:
    """Per calibration method, per float32 tensor between the operators, its range over (signature, feeds)."""
    from litert_quantizer.utils import tfl_interpreter_utils as runs

    interpreter = runs.create_tfl_interpreter(content, num_threads=os.cpu_count() or 1, preserve_all_tensors=True)
    places: dict[str, dict[str, int]] = {}
    observer = ObservedTensor()
    for key, feed in feeds:
        runs.invoke_interpreter_signature(interpreter, feed, key)
        graph = runs.get_signature_main_subgraph_index(interpreter, key)
        if key not in places:
            places[key] = _activation_places(content, interpreter, graph)
        observer.add({name: interpreter.get_tensor(index, graph) for name, index in places[key].items()})
    return observer.ranges()


def _activation_places(content: bytes, interpreter: Any, graph: int) -> dict[str, int]:
    """Names and places of the float32 tensors of a graph that are no constants."""
    model = flatbuffer.unpack(content)
    outputs = [index for operator in model.subgraphs[graph].operators for index in operator.outputs]
    activations = {*outputs, *model.subgraphs[graph].inputs}
    return {
        detail["name"]: detail["index"]
        for detail in interpreter.get_tensor_details(graph)
        if detail["index"] in activations and detail["dtype"] == np.float32 and np.all(detail["shape"])
    }
