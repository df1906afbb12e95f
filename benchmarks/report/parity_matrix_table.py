"""The parity matrix in the terminal: rows artifacts, columns devices, reasons below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from edgeship.bundle.figures.device_figures import Cell, CellState, NpuEstimate, ParityMatrix
from edgeship.terminal import Column, column_widths, make_table, table_width, wrap_text

STYLES = {
    **dict.fromkeys((CellState.EXACT, CellState.STEPS, CellState.CLOSE), "green"),
    **dict.fromkeys((CellState.ABSENT, CellState.REFUSED), "dim"),
    CellState.DIFFERS: "yellow",
    CellState.FAILED: "bold red",
}
LEGEND = (
    "outputs on each device, against the same artifact on this machine: bit-exact; n LSB in s: the largest difference is n "
    "steps of the quantization, a share s of the values differs; ±: largest error; same: share of the same answers; how a "
    "device's figures were obtained stands in brackets"
)


def render(matrix: ParityMatrix, width: int) -> list[RenderableType]:
    """The matrix, in several tables where `width` is too little for one, then the reasons of what did not run."""
    if not matrix.devices:
        return []
    notes: list[str] = []
    texts = {name: _column_texts(matrix, name, notes) for name in matrix.devices}
    parts: list[RenderableType] = []
    group: list[str] = []
    for name in matrix.devices:
        if group and not _fits_width(matrix, [*group, name], texts, width):
            parts.append(_device_table(matrix, group, texts, width))
            group = []
        group.append(name)
    parts.append(_device_table(matrix, group, texts, width))
    parts.append(Text(wrap_text(LEGEND, width), style="dim"))
    parts += _instruction_tables(matrix, width)
    parts += _estimate_tables(matrix, width)
    parts += [Text(f"({number}) {note}", style="dim") for number, note in enumerate(notes, 1)]
    return parts


def _instruction_tables(matrix: ParityMatrix, width: int) -> list[RenderableType]:
    """Instructions per inference where they were counted, with what multiplies."""
    rows = [
        (artifact, device, cell.instructions) for artifact, device, cell in _iterate_cells(matrix) if cell.instructions
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
        (artifact, device, f"{count.total:,}", f"{count.ratio:.3f}" if count.ratio else "", count.kernels)
        for artifact, device, count in rows
    ]
    return [make_table(columns, body, width)]


def _estimate_tables(matrix: ParityMatrix, width: int) -> list[RenderableType]:
    """What compilers estimate, in full."""
    body = [
        [artifact, device, *_estimate_cells(cell.compiler)]
        for artifact, device, cell in _iterate_cells(matrix)
        if cell.compiler
    ]
    if not body:
        return []
    columns = [Column("compiled", folds=True), Column("device [estimated]", folds=True)]
    figures = ("ops on NPU", "cycles", "SRAM", "flash or DRAM", "inferences per second")
    columns += [Column(name, right=True) for name in figures]
    return [make_table(columns, body, width)]


def _estimate_cells(compiler: NpuEstimate) -> list[str]:
    memory = (None if size is None else size / 1024 for size in (compiler.sram_bytes, compiler.flash_bytes))
    return [
        f"{compiler.npu_ops} of {compiler.npu_ops + compiler.cpu_ops}",
        _number_text(compiler.cycles, ","),
        *(_number_text(size, ",.1f", " KiB") for size in memory),
        _number_text(compiler.inferences_per_second, ",.0f"),
    ]


def _number_text(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _iterate_cells(matrix: ParityMatrix) -> Iterator[tuple[str, str, Cell]]:
    for artifact, cells in matrix.cells.items():
        for device, cell in cells.items():
            yield artifact, device, cell


def _device_heading(matrix: ParityMatrix, device: str) -> str:
    kind = matrix.kinds.get(device)
    return f"{device} [{kind}]" if kind else device


def _column_texts(matrix: ParityMatrix, device: str, notes: list[str]) -> list[str]:
    """The texts of a device's cells; a cell that did not run points to its reason."""
    texts = []
    for artifact in matrix.artifacts:
        cell = matrix.cells[artifact].get(device)
        note = _cell_note(cell) if cell else ""
        if note and note not in notes:
            notes.append(note)
        texts.append("" if cell is None else f"{cell.text} ({notes.index(note) + 1})" if note else cell.text)
    return texts


def _cell_note(cell: Cell) -> str:
    """Why a cell has no figure, empty where it has one or its text says it."""
    if cell.state not in (CellState.FAILED, CellState.ABSENT):
        return ""
    return f"{cell.explanation} ({cell.reason})" if cell.explanation else cell.reason


def _table_parts(
    matrix: ParityMatrix, devices: Sequence[str], texts: Mapping[str, list[str]]
) -> tuple[list[Column], list[list[str | Text]]]:
    """Headings and cells of the table of some devices."""
    body: list[list[str | Text]] = []
    for number, artifact in enumerate(matrix.artifacts):
        cells = [matrix.cells[artifact].get(name) for name in devices]
        styles = [STYLES.get(cell.state, "") if cell else "" for cell in cells]
        colored = [Text(texts[name][number], style=style) for name, style in zip(devices, styles, strict=True)]
        body.append([artifact, *colored])
    return [
        Column("artifact", folds=True),
        *(Column(_device_heading(matrix, name), folds=True) for name in devices),
    ], body


def _fits_width(matrix: ParityMatrix, devices: Sequence[str], texts: Mapping[str, list[str]], width: int) -> bool:
    """Whether their table fits without that a text of its cells is folded."""
    columns, body = _table_parts(matrix, devices, texts)
    return table_width(column_widths(columns, body)) <= width


def _device_table(matrix: ParityMatrix, devices: Sequence[str], texts: Mapping[str, list[str]], width: int) -> Table:
    columns, body = _table_parts(matrix, devices, texts)
    return make_table(columns, body, width)
