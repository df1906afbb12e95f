"""The cells of the parity matrix: rows are artifacts, columns devices."""

from __future__ import annotations

from dataclasses import replace

from edgeship.bundle.figures.device_figures import (
    BitExactness,
    Cell,
    CellState,
    InstructionCount,
    NpuEstimate,
    ParityMatrix,
)
from edgeship.bundle.figures.measurement import MeasurementDetails
from edgeship.bundle.manifest import Manifest
from edgeship.types import Kind

ORDER = list(CellState)  # from best to worst
MOST_STEPS = 2  # units in the last place that rounding explains


def not_run_cell(state: CellState, reason: str, explanation: str = "") -> Cell:
    """The cell of an artifact that was not run."""
    text = {CellState.REFUSED: "-", CellState.ABSENT: "not installed"}.get(state, "fails")
    if reason.startswith("does not fit"):
        text = "does not fit"
    return Cell(state, text, reason, explanation=explanation)


def cell_of(details: MeasurementDetails) -> Cell:
    """The cell that a measurement's details give."""
    cell = _estimated_cell(details.compiler) if details.compiler else _compared_cell(details)
    if (instructions := details.instructions) is None:
        return cell
    count_summary = InstructionCount(instructions.total, kernels=instructions.kernels, ratio=instructions.ratio)
    return replace(cell, instructions=count_summary)


def _estimated_cell(estimate: NpuEstimate) -> Cell:
    if estimate.reason:
        return not_run_cell(CellState.FAILED, estimate.reason)
    if not estimate.npu_ops:
        return Cell(CellState.ESTIMATED, "0 % on NPU", "its operators stay on the CPU")
    text = f"{estimate.npu_op_share or 0:.0%} on NPU, {_short_count(estimate.cycles or 0)} cycles"
    return Cell(CellState.ESTIMATED, text, "", compiler=estimate)


def _short_count(number: float) -> str:
    return next(
        (f"{number / scale:.3g} {unit}" for unit, scale in (("M", 1e6), ("k", 1e3)) if number >= scale), str(number)
    )


def _compared_cell(details: MeasurementDetails) -> Cell:
    exactness, samples = details.bit_exactness, details.samples
    if exactness is None:
        return not_run_cell(CellState.FAILED, "nothing was compared")
    if exactness.values is None or samples is None:
        return not_run_cell(CellState.FAILED, exactness.reason, exactness.explanation)
    state, text = _describe_comparison(exactness, exactness.values)
    if arena := (details.engine or {}).get("arena_total_bytes"):
        text += f", arena {arena / 1024:.1f} KiB"
    if samples.n < samples.of:
        text += f" ({samples.n:,} of {samples.of:,})"
    return Cell(state, text, exactness.reason, samples=samples.n, of=samples.of)


def _describe_comparison(exactness: BitExactness, values: int) -> tuple[CellState, str]:
    if exactness.exact:
        return CellState.EXACT, "bit-exact"
    if exactness.reason:
        return CellState.DIFFERS, "NaN"
    agreement = exactness.agreement
    answers = "" if agreement is None else f", {agreement:.2%} same" if agreement < 1 else ", all same"
    if exactness.max_steps is not None:
        state = CellState.STEPS if exactness.max_steps <= MOST_STEPS else CellState.DIFFERS
        share = exactness.differ / values
        return state, f"{exactness.max_steps} LSB in {share:.2g}{answers}".replace(" in 1,", " everywhere,")
    state = CellState.CLOSE if agreement in (None, 1) else CellState.DIFFERS
    return state, f"±{exactness.max_abs_error:.1e}{answers}"


def build_parity_matrix(manifest: Manifest) -> ParityMatrix:
    """The cells of the devices that have some; of several runtimes on a device the worst."""
    cells: dict[str, dict[str, Cell]] = {}
    kinds: dict[str, Kind | None] = {}
    for item in manifest.measurements:
        cell = item.details.cell
        if cell is None:
            continue
        kinds[item.device] = cell.kind
        row = cells.setdefault(item.artifact, {})
        if item.device not in row or ORDER.index(cell.state) > ORDER.index(row[item.device].state):
            row[item.device] = replace(cell, runtime=item.runtime)
    return ParityMatrix(tuple(kinds), kinds, tuple(cells), cells)
