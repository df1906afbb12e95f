"""The cells of the parity matrix: rows are artifacts, columns devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeship.bundle.manifest import STATES

Json = Mapping[str, Any]


def not_run_cell(state: str, reason: str) -> dict[str, Any]:
    """The cell of an artifact that was not run."""
    text = {"refused": "-", "absent": "not installed"}.get(state, "fails")
    if reason.startswith("does not fit"):
        text = "does not fit"
    return {"state": state, "text": text, "reason": reason}


def cell_of(details: Json) -> dict[str, Any]:
    """The cell that a measurement's details give."""
    counted = details.get("instructions")
    cell = _compared(details)
    if counted:
        cell["instructions"] = {name: counted.get(name) for name in ("total", "ratio", "kernels")}
    return cell


def _estimated(found: Json) -> dict[str, Any]:
    if "reason" in found:
        return not_run_cell("failed", found["reason"])
    if not found["npu_ops"]:
        return {"state": "estimated", "text": "0 % on NPU", "reason": "its operators stay on the CPU"}
    text = f"{found['npu_op_share']:.0%} on NPU, {_count(found['cycles'])} cycles"
    return {"state": "estimated", "text": text, "reason": "", "compiler": dict(found)}


def _count(number: float) -> str:
    return next(
        (f"{number / scale:.3g} {unit}" for unit, scale in (("M", 1e6), ("k", 1e3)) if number >= scale), str(number)
    )


def _compared(details: Json) -> dict[str, Any]:
    if "compiler" in details:
        return _estimated(details["compiler"])
    found = details.get("likeness")
    if found is None:
        return not_run_cell("failed", "nothing was compared")
    if "values" not in found:
        return not_run_cell("failed", found["reason"]) | ({"why": found["why"]} if found.get("why") else {})
    samples = details["samples"]
    state, text = _words(found)
    if arena := (details.get("engine") or {}).get("arena_total_bytes"):
        text += f", arena {arena / 1024:.1f} KiB"
    if samples["n"] < samples["of"]:
        text += f" ({samples['n']:,} of {samples['of']:,})"
    return {"state": state, "text": text, "reason": found["reason"], "samples": samples["n"], "of": samples["of"]}


def _words(found: Json) -> tuple[str, str]:
    if found["exact"]:
        return "exact", "bit-exact"
    if found["reason"]:
        return "differs", "NaN"
    agreement = found["agreement"]
    answers = "" if agreement is None else f", {agreement:.2%} same" if agreement < 1 else ", all same"
    if found["max_steps"] is not None:
        share = found["differ"] / found["values"]
        state = "steps" if found["max_steps"] <= 2 else "differs"
        return state, f"{found['max_steps']} LSB in {share:.2g}{answers}".replace(" in 1,", " everywhere,")
    state = "close" if agreement in (None, 1) else "differs"
    return state, f"±{found['max_abs_error']:.1e}{answers}"


def build_parity_matrix(manifest: Json) -> dict[str, Any]:
    """The cells of the devices that have some.

    `{"devices": [...], "kinds": {device: kind}, "artifacts": [...], "cells": {artifact: {device: cell}}}`
    """
    cells: dict[str, dict[str, Any]] = {}
    devices: list[str] = []
    kinds: dict[str, str] = {}
    for item in manifest.get("measurements", []):
        cell = item["details"].get("cell")
        if cell is None:
            continue
        kinds[item["device"]] = cell.get("kind", "")
        devices += [item["device"]] if item["device"] not in devices else []
        row = cells.setdefault(item["artifact"], {})
        if item["device"] not in row or _rank(cell) > _rank(row[item["device"]]):
            row[item["device"]] = {**cell, "runtime": item["runtime"]}
    return {"devices": devices, "kinds": kinds, "artifacts": list(cells), "cells": cells}


def _rank(cell: Json) -> int:
    order: Sequence[str] = STATES
    return order.index(cell["state"])
