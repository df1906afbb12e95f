"""The parity matrix in the terminal: rows artifacts, columns devices, reasons below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]
STYLES = {
    **dict.fromkeys(("exact", "steps", "close"), "green"),
    **dict.fromkeys(("absent", "refused"), "dim"),
    "differs": "yellow",
    "failed": "bold red",
}
LEGEND = (
    "parity matrix, against the same artifact on this machine: bit-exact; n LSB: largest difference in quantization steps "
    "and the share of values that differ; ±: largest error; same: answers; kind of every figure in brackets"
)


def render(matrix: Json, width: int) -> list[RenderableType]:
    """The matrix, in several tables where the terminal is too narrow, then the reasons of what did not run."""
    devices: list[str] = matrix["devices"]
    if not devices:
        return []
    notes: list[str] = []
    texts = {name: _column(matrix, name, notes) for name in devices}
    first = max(len(name) for name in matrix["artifacts"]) + 2
    parts: list[RenderableType] = []
    group: list[str] = []
    used = first
    for name in devices:
        wide = max(len(line) for line in (*_head(matrix, name).splitlines(), *texts[name])) + 2
        if group and used + wide > width:
            parts.append(_table(matrix, group, texts))
            group, used = [], first
        group.append(name)
        used += wide
    parts.append(_table(matrix, group, texts))
    parts.append(Text(LEGEND, style="dim"))
    parts += _instructions(matrix)
    parts += _estimates(matrix)
    parts += [Text(f"({number}) {note}", style="dim") for number, note in enumerate(notes, 1)]
    return parts


def _instructions(matrix: Json) -> list[RenderableType]:
    """Instructions per inference where they were counted, with what multiplies."""
    rows = [
        (artifact, device, cell["instructions"])
        for artifact, cells in matrix["cells"].items()
        for device, cell in cells.items()
        if cell.get("instructions")
    ]
    if not rows:
        return []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("instructions per inference", "device [emulated]", "count", "to float32", "most of the multiplying"):
        table.add_column(Text(name), justify="right" if name in ("count", "to float32") else "left", no_wrap=True)
    for artifact, device, found in rows:
        ratio = f"{found['ratio']:.3f}" if found["ratio"] else ""
        table.add_row(*map(Text, (artifact, device, f"{found['total']:,}", ratio, found["kernels"])))
    return [table]


def _estimates(matrix: Json) -> list[RenderableType]:
    """What compilers estimate, in full."""
    found = [
        (artifact, device, cell["compiler"])
        for artifact, cells in matrix["cells"].items()
        for device, cell in cells.items()
        if cell.get("compiler")
    ]
    if not found:
        return []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("compiled", "device [estimated]", "ops on NPU", "cycles", "SRAM", "flash or DRAM", "inferences/s"):
        table.add_column(Text(name), justify="left" if name.startswith(("comp", "dev")) else "right", no_wrap=True)
    for artifact, device, item in found:
        ops = f"{item['npu_ops']} of {item['npu_ops'] + item['cpu_ops']}"
        memory = [f"{item[name] / 1024:,.1f} KiB" for name in ("sram_bytes", "flash_bytes")]
        rate = f"{item['inferences_per_second']:,.0f}"
        table.add_row(*map(Text, (artifact, device, ops, f"{item['cycles']:,}", *memory, rate)))
    return [table]


def _head(matrix: Json, device: str) -> str:
    kind = matrix.get("kinds", {}).get(device, "")
    return f"{device}\n[{kind}]" if kind else device


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


def _table(matrix: Json, devices: Sequence[str], texts: Mapping[str, list[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("artifact", no_wrap=True)
    for name in devices:
        table.add_column(Text(_head(matrix, name)), no_wrap=True)
    for number, artifact in enumerate(matrix["artifacts"]):
        row = [Text(artifact)]
        for name in devices:
            cell = matrix["cells"][artifact].get(name)
            row.append(Text(texts[name][number], style=STYLES.get(cell["state"], "") if cell else ""))
        table.add_row(*row)
    return table
