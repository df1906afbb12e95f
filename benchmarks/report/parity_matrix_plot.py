"""A picture of the parity matrix for the report: rows artifacts, columns devices."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from edgeship.benchmarks.compare import parity_matrix
from edgeship.bundle.figures.device_figures import CellState
from edgeship.bundle.manifest import Manifest
from edgeship.untrusted import shorten_text

# Place in the page's palette and opacity by state; the words say it too, so that colour is never all there is.
SHADES = {
    CellState.EXACT: (2, 0.55),
    CellState.STEPS: (2, 0.3),
    CellState.CLOSE: (2, 0.3),
    CellState.DIFFERS: (3, 0.35),
    CellState.ESTIMATED: (0, 0.25),
    CellState.FAILED: (1, 0.55),
}
CELL, ROW, NAMES = 1.25, 0.52, 1.5  # inches
LETTERS = 17
DEVICES, ARTIFACTS = 40, 100  # that are drawn; the table holds all
NAME = 48  # characters


def draw(manifest: Manifest, style: Mapping[str, Any], palette: tuple[str, ...], faint: str) -> Figure | None:
    """The picture, in the report's style; None where no device has a cell."""
    matrix = parity_matrix.build_parity_matrix(manifest)
    devices, artifacts = matrix.devices[:DEVICES], matrix.artifacts[:ARTIFACTS]
    if not devices:
        return None
    with rc_context(dict(style)):
        figure = Figure((NAMES + CELL * len(devices), 0.75 + ROW * len(artifacts)), layout="constrained")
        axes = figure.subplots()
        for row, artifact in enumerate(artifacts):
            for column, device in enumerate(devices):
                cell = matrix.cells[artifact].get(device)
                words, colour, alpha = cell.text if cell else "", faint, 0.06
                if cell and cell.state in SHADES:
                    place, alpha = SHADES[cell.state]
                    colour = palette[place]
                axes.add_patch(
                    Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, color=colour, alpha=alpha, linewidth=0)
                )
                shown = "\n".join(textwrap.wrap(words.replace(" (", "\n("), LETTERS)[:3])
                axes.text(column, row, shown, ha="center", va="center", fontsize=7)
        heads = [
            f"{shorten_text(name, NAME)}\n[{shorten_text(matrix.kinds.get(name) or '', NAME)}]" for name in devices
        ]
        axes.set_xticks(range(len(devices)), ["\n".join(textwrap.wrap(head, LETTERS)) for head in heads], fontsize=7.5)
        axes.set_yticks(range(len(artifacts)), [shorten_text(name, NAME) for name in artifacts])
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set(xlim=(-0.5, len(devices) - 0.5), ylim=(len(artifacts) - 0.5, -0.5))
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)
        left = len(matrix.devices) > DEVICES or len(matrix.artifacts) > ARTIFACTS
        more = f" (the first {len(artifacts)} artifacts and {len(devices)} devices)" if left else ""
        axes.set_title(f"against the same artifact on this machine{more}", pad=10)
        return figure
