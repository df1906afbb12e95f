"""Pictures of the timeline: samples, accuracy by week, and which version devices run. SVG, the same at every run."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeship.monitoring.drift.page import to_svg
from scripts.lifecycle.loop.record import Picture
from scripts.lifecycle.loop.world import Week

Array = NDArray[Any]
SIDE = 56  # pixels of a sample on the page
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0")


def show_samples(caption: str, rows: Sequence[tuple[str, Array]]) -> Picture:
    """Rows of grey pictures (n, height, width, 1), 0 to 255, each with its name, if it has one."""
    parts = []
    for name, images in rows:
        cells = "".join(
            f'<img src="{encode_png(image)}" width="{SIDE}" height="{SIDE}" alt="a picture of that row">'
            for image in images
        )
        label = f"<span>{html.escape(name)}</span>" if name else ""
        parts.append(f'<div class="samples">{label}{cells}</div>')
    return Picture(caption, "".join(parts))


def encode_png(image: Array) -> str:
    """A grey picture (height, width, 1) as the address of its PNG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.clip(image[..., 0], 0, 255).astype(np.uint8)).save(out, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def draw_weeks(weeks: Sequence[Week], clients: int) -> Picture:
    """The accuracy by the truth of each week, and below which version how many devices ran."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(8, 4.6), layout="constrained")
    upper, lower = picture.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    numbers = [week.number for week in weeks]
    upper.plot(numbers, [100 * week.accuracy for week in weeks], color=COLOURS[0], marker="o")
    if turned := [week.number for week in weeks if week.turned]:
        for axes in (upper, lower):
            axes.axvspan(turned[0] - 0.5, turned[-1] + 0.5, color="#f1f1f4", zorder=0)
        upper.text(turned[0] - 0.4, 0.93, "darker and tilted", transform=upper.get_xaxis_transform(), fontsize=8)
    upper.set_ylabel("right answers, %")
    bottom = np.zeros(len(weeks))
    for version in sorted({version for week in weeks for version in week.versions}):
        share = np.array([100 * week.versions.get(version, 0) / clients for week in weeks])
        lower.bar(
            numbers, share, 0.7, bottom=bottom, color=COLOURS[(version - 1) % len(COLOURS)], label=f"version {version}"
        )
        bottom += share
    lower.set(ylabel="devices, %", xlabel="week", xticks=numbers)
    lower.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8, ncols=4, frameon=False)
    caption = "Right answers by the truth, which nobody but the simulation knows, and the version that devices ran."
    return Picture(caption, to_svg(picture))
