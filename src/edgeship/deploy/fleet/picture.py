"""The curve of a simulated fleet as SVG: adoption, and the bytes of each day."""

from __future__ import annotations

from io import StringIO

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from edgeship.deploy.fleet.model import FleetResult

BLUE, ORANGE, GREY = "#3b6ea5", "#c4742c", "#8a8a8a"
GIGABYTE = 1e9


def draw_fleet(result: FleetResult) -> str:
    """An SVG, the same for the same result."""
    with rc_context({"svg.hashsalt": "edgeship", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(8, 5.2), layout="constrained")
        top, below = figure.subplots(2, 1)
        hours = [point.hour for point in result.adoption]
        top.step(*_published(result), GREY, where="post", label="published to (%)")
        top.plot(hours, [100 * point.share for point in result.adoption], BLUE, label="devices that run it (%)")
        if result.rollout.rollback_hour is not None:
            top.axvline(result.rollout.rollback_hour, color=ORANGE, linestyle=":", label="rolled back")
        top.set(xlabel="hours", ylim=(0, 102), title=f"the new version on {result.fleet.clients:,} simulated devices")
        top.legend(frameon=False)
        days = np.arange(len(result.days))
        polls = np.array([day.poll_bytes for day in result.days]) / GIGABYTE
        for shift, color, label, sizes in (
            (-0.2, GREY, "whole files", [day.whole_bytes for day in result.days]),
            (0.2, BLUE, "differences", [day.delta_bytes for day in result.days]),
        ):
            below.bar(days + shift, np.array(sizes) / GIGABYTE, 0.4, bottom=polls, color=color, label=label)
        below.bar(days, polls, 0.8, color=ORANGE, label="polling")
        below.set(xlabel="day", ylabel="GB from the server", xticks=days)
        below.legend(frameon=False)
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _published(result: FleetResult) -> tuple[list[float], list[float]]:
    """Hours and the percentage from each of them on."""
    back, end = result.rollout.rollback_hour, float(result.fleet.hours)
    steps = [step for step in sorted(result.rollout.steps) if step[0] < (end if back is None else back)]
    hours, percents = [hour for hour, _ in steps], [percent for _, percent in steps]
    last = percents[-1] if percents else 0.0
    return ([*hours, end], [*percents, last]) if back is None else ([*hours, back, end], [*percents, 0.0, 0.0])
