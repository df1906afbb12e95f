"""What `edgeship debug` found, in the terminal: the layers that cost most first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgeship.bundle.figures.comparisons import CandidateFigures, LayerErrors, LayerSensitivity
from edgeship.terminal import WIDTH, Column, make_console, make_table, wrap_text
from edgeship.untrusted import printable_value

SHOWN = 40
IN_FLOAT = "(float)"
EQUAL = 200.0  # dB, what parity writes down for identical values
LEGEND = (
    "SQNR: signal to quantization noise in dB, more is better (20 dB: the noise is a tenth of the signal). layer's SQNR: its "
    "output in the int8 file against float32; only it int8, all int8 but it: the model's worst output against the server "
    "model when this layer alone is quantized, and when it alone stays float32"
)
DROPS = "; drop: what the model then loses in accuracy"
WIDE_LEGEND = "; cosine, mean squared error: of the layer's output, as its SQNR"


def worst_first(layers: Sequence[LayerErrors]) -> list[LayerErrors]:
    """By what a layer does to the model's output when it alone is quantized.

    What could not be tried comes behind these, and last what is float in the file: it costs nothing there.
    """

    def order(layer: LayerErrors) -> tuple[bool, float, float]:
        alone, own = layer.only_layer_int8.sqnr_db, layer.sqnr_db
        return (layer.in_float, EQUAL + 1 if alone is None else alone, EQUAL if own is None else own)

    return sorted(layers, key=order)


def print_layers(sensitivity: LayerSensitivity, *, wide: bool = False) -> None:
    """Print the table and what it says."""
    out = make_console(wide=wide)
    out.print(render(sensitivity, out.width, wide=wide))


def render(sensitivity: LayerSensitivity, width: int = WIDTH, *, wide: bool = False) -> RenderableType:
    """The table, its legend, and the summary; with `wide` all figures of each layer."""
    sensitivity = printable_value(sensitivity)
    with_labels = sensitivity.quantized.drop is not None
    columns = [Column("layer", folds=True), Column("operators", folds=True), Column("layer's SQNR dB", right=True)]
    columns += [Column(name, right=True) for name in ("cosine", "mean squared error") if wide]
    for state in ("only it int8:", "all int8 but it:"):
        columns.append(Column(f"{state}\nSQNR dB", right=True))
        columns += [Column(f"{state}\ndrop", right=True)] if with_labels else []
    layers = worst_first(sensitivity.layers)
    body = [_layer_cells(sensitivity, layer, with_labels, wide) for layer in layers[:SHOWN]]
    legend = (
        LEGEND + (DROPS if with_labels else "") + (WIDE_LEGEND if wide else "; --wide: cosine and mean squared error")
    )
    parts: list[RenderableType] = [make_table(columns, body, width), Text(wrap_text(legend, width), style="dim")]
    if any(layer.in_float for layer in layers):
        parts.append(Text(f"{IN_FLOAT}: not quantized in the file, so it costs nothing there", style="dim"))
    if len(layers) > SHOWN:
        parts.append(Text(f"and {len(layers) - SHOWN} more layers that cost less: --json has all", style="dim"))
    reasons = {figures.reason for layer in layers for figures in (layer.only_layer_int8, layer.only_layer_float)} - {""}
    parts += [Text(f"could not be tried: {reason}", style="dim") for reason in sorted(reasons)[:3]]
    return Group(*parts, *(Text(line) for line in summary_lines(sensitivity)))


def _layer_cells(sensitivity: LayerSensitivity, layer: LayerErrors, with_labels: bool, wide: bool) -> list[str]:
    kinds = list(dict.fromkeys(layer.operators))
    operators = ", ".join(kinds[:3]) + (", …" if len(kinds) > 3 else "")
    name = f"{layer.name} {IN_FLOAT}" if layer.in_float else layer.name
    cells = [name, operators, _decibel_text(layer.sqnr_db)]
    cells += [_number_text(layer.cosine, ".5f"), _number_text(layer.mse, ".3g")] if wide else []
    for figures in (layer.only_layer_int8, layer.only_layer_float):
        cells.append(_decibel_text(figures.sqnr_db))
        cells += [_drop_text(sensitivity, figures)] if with_labels else []
    return cells


def _number_text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _decibel_text(value: float | None) -> str:
    return "-" if value is None else "equal" if value >= EQUAL else f"{value:.1f}"


def _drop_text(sensitivity: LayerSensitivity, figures: CandidateFigures) -> str:
    if figures.drop is None:
        return "-"
    scale, unit = (100, " pt") if sensitivity.quantized.share else (1, "")
    return f"{figures.drop * scale + 0.0:+.2f}{unit}"


def summary_lines(sensitivity: LayerSensitivity) -> list[str]:
    """What the whole file loses, and to which layers."""
    whole, base = sensitivity.quantized, sensitivity.float32
    sentence = f"{sensitivity.artifact} on {sensitivity.samples:,} samples: SQNR {_decibel_text(whole.sqnr_db)} dB"
    if whole.drop is not None:
        sentence += f", {whole.metric} drop {_drop_text(sensitivity, whole)} (float32 {_drop_text(sensitivity, base)})"
    worst = [
        (layer.name, noise)
        for layer in worst_first(sensitivity.layers)
        if not layer.in_float and (noise := layer.only_layer_int8.sqnr_db) is not None
    ]
    if sensitivity.layers and all(layer.in_float for layer in sensitivity.layers):
        return [sentence, "none of its layers is quantized: all compute in float"]
    if not worst or worst[0][1] >= EQUAL:
        return [sentence, "no layer changes the model's output when it alone is quantized"]
    worst_text = "; ".join(f"{name} ({_decibel_text(noise)} dB when it alone is int8)" for name, noise in worst[:3])
    return [sentence, f"most of it: {worst_text}"]
