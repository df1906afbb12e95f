"""The picture of what `edgeship debug` found: every layer's own noise, and what it does to the model's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from edgeship.benchmarks.report.layers.layer_table import worst_first
from edgeship.bundle.figures.comparisons import LayerSensitivity

WIDTH, ROW = 4.6, 0.22  # inches
SHOWN = 30
NAME = 34  # characters of a layer's name
CEILING = 100.0  # dB: what is beyond it is equal


def draw(sensitivity: LayerSensitivity, style: Mapping[str, Any], series: Sequence[str]) -> Figure | None:
    """The quantized layers in the order in which they run, the worst ones where there are many; None where there are none."""
    quantized = [layer for layer in sensitivity.layers if not layer.in_float]
    worst = [layer.name for layer in worst_first(quantized)[:SHOWN]]
    layers = [layer for layer in quantized if layer.name in worst][:SHOWN]
    if not layers:
        return None
    marks = (
        ("its output in the int8 file", "o", series[0], [layer.sqnr_db for layer in layers]),
        ("model's output, only it int8", "s", series[1], [layer.only_layer_int8.sqnr_db for layer in layers]),
        ("model's output, only it float", "^", series[2], [layer.only_layer_float.sqnr_db for layer in layers]),
    )
    with rc_context(dict(style)):
        figure = Figure((WIDTH, 1.5 + ROW * len(layers)), layout="constrained")
        axes = figure.subplots()
        for label, marker, colour, values in marks:
            points = [(value, row) for row, value in enumerate(values) if value is not None and value < CEILING]
            if points:
                x, y = zip(*points, strict=True)
                axes.plot(x, y, marker, color=colour, markersize=5, fillstyle="none", markeredgewidth=1.4, label=label)
        axes.set_yticks(range(len(layers)), [_shorten_name(layer.name) for layer in layers], fontsize=7)
        axes.set_ylim(len(layers) - 0.5, -0.5)
        more = f", the {len(layers)} worst of {len(quantized)}" if len(layers) < len(quantized) else ""
        axes.set(xlabel=f"SQNR in dB, {sensitivity.samples:,} samples (less is worse)")
        axes.set_title(f"layers of {_shorten_name(sensitivity.artifact)}{more}")
        figure.legend(loc="outside lower center", ncols=1, fontsize=8)
    return figure


def _shorten_name(name: str) -> str:
    return name if len(name) <= NAME else name[: NAME - 1] + "…"
