"""Node data for Model Explorer (`ai-edge-model-explorer`): figures of layers or operators, shown in the graph of the model.

Its format, `GraphNodeData`: values by the node's name, which is that of one of its output tensors, and colours from the least to
the largest (model_explorer/node_data_builder.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from edgeship.bundle.figures.comparisons import LayerSensitivity
from edgeship.bundle.figures.measurement import OperatorTimes
from edgeship.errors import InputError

GOOD, BAD = "#ffffff", "#d62728"


def render_errors(sensitivity: LayerSensitivity) -> str:
    """The SQNR in dB of each layer's output in the quantized file, as JSON; the lower, the redder.

    Raises InputError where there is none.
    """
    values = {
        name: layer.sqnr_db for layer in sensitivity.layers for name in layer.tensors if layer.sqnr_db is not None
    }
    if not values:
        raise InputError(
            f"{sensitivity.artifact}: none of its layers could be compared, so --explorer has nothing to show"
        )
    return _render(f"{sensitivity.artifact}: SQNR of the layer's output, dB", values, (BAD, GOOD))


def render_times(times: OperatorTimes) -> str:
    """The share of each operator in the time of all, in percent, as JSON; the more, the redder.

    Raises InputError where there is none.
    """
    values: dict[str, float] = {}
    for item in times.operators:
        if item.name and item.share is not None:
            values[item.name] = values.get(item.name, 0.0) + 100 * item.share
    if not values:
        raise InputError(
            f"{times.artifact}: no operator of the file has a time above the clock, so --explorer has nothing to show"
        )
    return _render(f"{times.artifact}: time on {times.runtime}, %", values, (GOOD, BAD))


def _render(name: str, values: Mapping[str, float], colours: tuple[str, str]) -> str:
    results = {key: {"value": round(value, 4)} for key, value in values.items()}
    gradient = [{"stop": stop, "bgColor": colour} for stop, colour in zip((0, 1), colours, strict=True)]
    return json.dumps({"name": name, "results": results, "gradient": gradient}, indent=1) + "\n"
