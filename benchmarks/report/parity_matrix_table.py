"""The parity matrix in the terminal: rows artifacts, columns devices, reasons below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from edgeship.terminal import Column, column_widths, table, table_width, wrap

Json = Mapping[str, Any]
STYLES = {
    **dict.fromkeys(("exact", "steps", "close"), "green"),
    **dict.fromkeys(("absent", "refused"), "dim"),
    "differs": "yellow",
    "failed": "bold red",
}
LEGEND = (
    "outputs on each device, against the same artifact on this machine: bit-exact; n LSB in s: the largest difference is n "
    "steps of the quantization, a share s of the values differs; ±: largest error; same: share of the same answers; how a "
    "device's figures were obtained stands in brackets"
)


def render(matrix: Json, width: int) -> list[RenderableType]:
    """The matrix, in several tables where `width` is too little for one, then the reasons of what did not run."""
    devices: list[str] = matrix["devices"]
    if not devices:
        return []
    notes: list[str] = []
    texts = {name: _column(matrix, name, notes) for name in devices}
    parts: list[RenderableType] = []
    group: list[str] = []
    for name in devices:
        if group and not _fits(matrix, [*group, name], texts, width):
            parts.append(_table(matrix, group, texts, width))
            group = []
        group.append(name)
    parts.append(_table(matrix, group, texts, width))
    parts.append(Text(wrap(LEGEND, width), style="dim"))
    parts += _instructions(matrix, width)
    parts += _estimates(matrix, width)
    parts += [Text(f"({number}) {note}", style="dim") for number, note in enumerate(notes, 1)]
    return parts


def _instructions(matrix: Json, width: int) -> list[RenderableType]:
    """Instructions per inference where they were counted, with what multiplies."""
    rows = [
        (artifact, device, cell["instructions"])
        for artifact, cells in matrix["cells"].items()
        for device, cell in cells.items()
        if cell.get("instructions")
    ]
    if not rows:
        return []
    columns = [Column("instructions per inference", folds=True), Column("device [emulated]", folds=True)]
    columns += [
        Column("count", right=True),
        Column("to float32", right=True),
        Column("most of the multiplying", folds=True),
    ]
    body = [
        (artifact, device, f"{found['total']:,}", f"{found['ratio']:.3f}" if found["ratio"] else "", found["kernels"])
        for artifact, device, found in rows
    ]
    return [table(columns, body, width)]


def _estimates(matrix: Json, width: int) -> list[RenderableType]:
    """What compilers estimate, in full."""
    found = [
        (artifact, device, cell["compiler"])
        for artifact, cells in matrix["cells"].items()
        for device, cell in cells.items()
        if cell.get("compiler")
    ]
    if not found:
        return []
    columns = [Column("compiled", folds=True), Column("device [estimated]", folds=True)]
    figures = ("ops on NPU", "cycles", "SRAM", "flash or DRAM", "inferences per second")
    columns += [Column(name, right=True) for name in figures]
    body = []
    for artifact, device, item in found:
        ops = f"{item['npu_ops']} of {item['npu_ops'] + item['cpu_ops']}"
        memory = [f"{item[name] / 1024:,.1f} KiB" for name in ("sram_bytes", "flash_bytes")]
        rate = f"{item['inferences_per_second']:,.0f}"
        body.append([artifact, device, ops, f"{item['cycles']:,}", *memory, rate])
    return [table(columns, body, width)]


def _head(matrix: Json, device: str) -> str:
    kind = matrix.get("kinds", {}).get(device, "")
    return f"{device} [{kind}]" if kind else device


def _column(matrix: Json, device: str, notes: list[str]) -> list[str]:
    """The texts of a device's cells; a cell that did not run points to its reason."""
    texts = []
    for artifact in matrix["artifacts"]:
        cell = matrix["cells"][artifact].get(device)
        if cell is None:
            texts.append("")
            continue
        note = cell.get("why") or cell["reason"]
        if cell["state"] in ("failed", "absent") and note:
            told = f"{note} ({cell['reason']})" if cell.get("why") else note
            if told not in notes:
                notes.append(told)
            texts.append(f"{cell['text']} ({notes.index(told) + 1})")
        else:
            texts.append(cell["text"])
    return texts


def _parts(
    matrix: Json, devices: Sequence[str], texts: Mapping[str, list[str]]
) -> tuple[list[Column], list[list[str | Text]]]:
    """Headings and cells of the table of some devices."""
    body: list[list[str | Text]] = []
    for number, artifact in enumerate(matrix["artifacts"]):
        cells = [matrix["cells"][artifact].get(name) for name in devices]
        styles = [STYLES.get(cell["state"], "") if cell else "" for cell in cells]
        told = [Text(texts[name][number], style=style) for name, style in zip(devices, styles, strict=True)]
        body.append([artifact, *told])
    return [Column("artifact", folds=True), *(Column(_head(matrix, name), folds=True) for name in devices)], body


def _fits(matrix: Json, devices: Sequence[str], texts: Mapping[str, list[str]], width: int) -> bool:
    """Whether their table fits without that a text of its cells is folded."""
    columns, body = _parts(matrix, devices, texts)
    return table_width(column_widths(columns, body)) <= width


def _table(matrix: Json, devices: Sequence[str], texts: Mapping[str, list[str]], width: int) -> Table:
    columns, body = _parts(matrix, devices, texts)
    return table(columns, body, width)
