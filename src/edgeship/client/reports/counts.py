"""Counts as a report has them, their sum, and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SCHEMA = 2
Json = dict[str, Any]
NUMBERS = ("n", "switches", "fallbacks")


def render_report(
    window: str, sequence: int, install: str, identity: Json, counts: Json, *, ascii_only: bool = True
) -> str:
    """A report as JSON; `identity` has the fields that are the same for all reports of an artifact on a device."""
    head = {"schema": SCHEMA, "window": window, "sequence": sequence, "install": install}
    compact = {
        "outputs": {name: _shorten_output(output) for name, output in counts["outputs"].items()},
        "latency": _to_differences(counts["latency"]),
        "outcomes": {event: _to_differences(pairs) for event, pairs in counts["outcomes"].items()},
    }
    return json.dumps({**head, **identity, **counts, **compact}, separators=(",", ":"), ensure_ascii=ascii_only)


def _shorten_output(output: Json) -> Json:
    return {**output, "joint": _to_differences(output["joint"])} if "joint" in output else output


def _to_differences(pairs: list[int]) -> list[int]:
    """Pairs with the difference to the cell before in place of each cell but the first."""
    cells = pairs[::2]
    differences = [cell - before for cell, before in zip(cells, [0, *cells], strict=False)]
    return [number for pair in zip(differences, pairs[1::2], strict=True) for number in pair]


def name_report(window: str, sequence: int, install: str, identity: Json) -> str:
    """The key of a report, which is sent as `Idempotency-Key`: a server counts it once however often it arrives."""
    return f"{install}.{window}.{identity['content'][:16]}.{sequence}"


def to_pairs(cells: Mapping[int, int]) -> list[int]:
    """Counts by cell as a report has them: cell, count, cell, count, in ascending order."""
    return [number for cell in sorted(cells) for number in (cell, cells[cell])]


def add_pairs(one: list[int], other: list[int]) -> list[int]:
    """The sum of two lists of pairs."""
    cells = dict(zip(one[::2], one[1::2], strict=True))
    for cell, count in zip(other[::2], other[1::2], strict=True):
        cells[cell] = cells.get(cell, 0) + count
    return to_pairs(cells)


def add_counts(one: Json, other: Json) -> Json:
    """The sum of the counts of two reports in the same bins."""
    return {
        **{name: one[name] + other[name] for name in NUMBERS},
        "outputs": {name: _add_output(output, other["outputs"][name]) for name, output in one["outputs"].items()},
        "inputs": {name: _add_histograms(parts, other["inputs"][name]) for name, parts in one["inputs"].items()},
        "latency": add_pairs(one["latency"], other["latency"]),
        "errors": {
            code: one["errors"].get(code, 0) + other["errors"].get(code, 0)
            for code in sorted({*one["errors"], *other["errors"]})
        },
        "outcomes": {
            name: add_pairs(one["outcomes"].get(name, []), other["outcomes"].get(name, []))
            for name in sorted({*one["outcomes"], *other["outcomes"]})
        },
    }


def is_empty(counts: Json) -> bool:
    """Whether nothing was counted."""
    return not any(counts[name] for name in ("n", "fallbacks", "errors", "outcomes"))


def count_cells(counts: Json) -> int:
    """How many pairs there are: what a report grows by."""
    joint = [output["joint"] for output in counts["outputs"].values() if "joint" in output]
    return sum(len(pairs) // 2 for pairs in (*joint, *counts["outcomes"].values()))


def _add_output(one: Json, other: Json) -> Json:
    if one["kind"] == "values":
        return {"kind": "values", "values": _add_histograms(one["values"], other["values"])}
    return {
        "kind": "classes",
        "joint": add_pairs(one["joint"], other["joint"]),
        "margin": _add_bins(one["margin"], other["margin"]),
        "entropy": _add_bins(one["entropy"], other["entropy"]),
    }


def _add_histograms(one: list[list[int]], other: list[list[int]]) -> list[list[int]]:
    return [_add_bins(first, second) for first, second in zip(one, other, strict=True)]


def _add_bins(one: list[int], other: list[int]) -> list[int]:
    return [first + second for first, second in zip(one, other, strict=True)]
