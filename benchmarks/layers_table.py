"""What `edgeship debug` found, in the terminal: the layers that cost most first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]
SHOWN = 40
NAME = 48
PIPE_WIDTH = 200
EQUAL = 200.0  # dB, what parity writes down for identical values
LEGEND = (
    "SQNR, cosine, MSE: the layer's output in the int8 file against float32. alone: only this layer is int8; spared: only "
    "this layer is float32; each with the SQNR of the model's worst output against the server model"
)


def worst_first(layers: Sequence[Json]) -> list[Json]:
    """By what a layer does to the model's output when it alone is quantized; what could not be tried comes last."""

    def order(layer: Json) -> tuple[float, float]:
        alone, own = layer["alone"]["sqnr_db"], layer["sqnr_db"]
        return (EQUAL + 1 if alone is None else alone, EQUAL if own is None else own)

    return sorted(layers, key=order)


def print_layers(found: Json) -> None:
    """Print the table and what it says."""
    out = Console(highlight=False)
    (out if out.is_terminal else Console(highlight=False, width=PIPE_WIDTH)).print(render(found))


def render(found: Json) -> RenderableType:
    """The table, its legend, and the summary."""
    with_labels = found["quantized"]["drop"] is not None
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", overflow="fold", max_width=NAME)
    table.add_column("operators", overflow="fold", max_width=24)
    names = ["SQNR dB", "cosine", "MSE", "alone dB", "spared dB"]
    names = [*names[:4], "alone drop", names[4], "spared drop"] if with_labels else names
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    layers = worst_first(found["layers"])
    for layer in layers[:SHOWN]:
        table.add_row(*map(Text, _cells(found, layer, with_labels)))
    parts: list[RenderableType] = [table, Text(LEGEND, style="dim")]
    if len(layers) > SHOWN:
        parts.append(Text(f"and {len(layers) - SHOWN} more layers that cost less: --json has all", style="dim"))
    reasons = {layer[kind]["reason"] for layer in layers for kind in ("alone", "spared")} - {""}
    parts += [Text(f"could not be tried: {reason}", style="dim") for reason in sorted(reasons)[:3]]
    return Group(*parts, *(Text(line) for line in summary(found)))


def _cells(found: Json, layer: Json, with_labels: bool) -> list[str]:
    alone, spared = layer["alone"], layer["spared"]
    kinds = list(dict.fromkeys(layer["operators"]))
    operators = ", ".join(kinds[:3]) + (", …" if len(kinds) > 3 else "")
    cells = [layer["name"], operators, _db(layer["sqnr_db"]), _number(layer["cosine"], ".5f")]
    cells += [_number(layer["mse"], ".3g"), _db(alone["sqnr_db"])]
    cells += [_drop(found, alone)] if with_labels else []
    cells.append(_db(spared["sqnr_db"]))
    return cells + ([_drop(found, spared)] if with_labels else [])


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _db(value: float | None) -> str:
    return "-" if value is None else "equal" if value >= EQUAL else f"{value:.1f}"


def _drop(found: Json, figures: Json) -> str:
    if figures["drop"] is None:
        return "-"
    scale, unit = (100, " pt") if found["quantized"]["share"] else (1, "")
    return f"{figures['drop'] * scale + 0.0:+.2f}{unit}"


def summary(found: Json) -> list[str]:
    """What the whole file loses, and to which layers."""
    whole, base = found["quantized"], found["float32"]
    told = f"{found['artifact']} on {found['samples']:,} samples: SQNR {_db(whole['sqnr_db'])} dB"
    if whole["drop"] is not None:
        told += f", {whole['metric']} drop {_drop(found, whole)} (float32 {_drop(found, base)})"
    tried = [layer for layer in worst_first(found["layers"]) if layer["alone"]["sqnr_db"] is not None]
    if not tried or tried[0]["alone"]["sqnr_db"] >= EQUAL:
        return [told, "no layer changes the model's output when it alone is quantized"]
    named = "; ".join(f"{layer['name']} ({_db(layer['alone']['sqnr_db'])} dB alone)" for layer in tried[:3])
    return [told, f"most of it: {named}"]
