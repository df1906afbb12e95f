"""An experiment on one HTML page that needs nothing else: verdict, why, the looks as a picture, guardrails."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.experiments.planning.boundaries import find_boundaries
from edgeship.monitoring.experiments.planning.plan import Plan
from edgeship.monitoring.experiments.verdicts.decision import NEAR
from edgeship.monitoring.experiments.verdicts.luck import figure
from edgeship.monitoring.experiments.verdicts.results import ExperimentResult
from edgeship.storage.atomic import atomic_file

BLUE, ORANGE, GREY = "#3b6ea5", "#c4742c", "#8a8a8a"
HIGHEST = 8.0  # of a z-value that is drawn


@dataclass(frozen=True)
class Bar:
    """An interval to draw, in its own unit: a title, its ends, the figure, and where harm begins (None: nowhere)."""

    title: str
    low: float
    middle: float
    high: float
    limit: float | None = None


def write_page(plan: Plan, result: ExperimentResult, path: Path) -> None:
    """Write the page of a result."""
    with atomic_file(path) as beside:
        beside.write_text(render_page(plan, result), encoding="utf-8")


def render_page(plan: Plan, result: ExperimentResult) -> str:
    """The page as HTML; foreign texts in it are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("edgeship.monitoring.experiments", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["figure"] = figure
    bars = [
        Bar(rail.metric, rail.low, rail.difference, rail.high, _limit(rail.better, rail.margin))
        for rail in result.guardrails
    ]
    if result.effect:
        bars.insert(0, Bar(plan.metric, result.effect.low, result.effect.estimate, result.effect.high))
    return environment.get_template("page.html").render(
        plan=plan, result=result, looks=draw_looks(plan, result), bars=[(bar, draw_bar(bar)) for bar in bars]
    )


def draw_looks(plan: Plan, result: ExperimentResult) -> str:
    """The z-values of the looks between their boundaries, those that are to come as planned, as SVG."""
    taken = [look.fraction for look in result.looks]
    ahead = [] if result.over else [time for time in plan.fractions if time > (taken[-1] if taken else 0) + NEAR]
    times = [*taken, *ahead]
    bounds = [min(bound, HIGHEST) for bound in find_boundaries(times, plan.alpha)]
    picture, axes = _new_picture(3.2)
    for sign in (1, -1):
        axes.plot(
            times, [sign * bound for bound in bounds], color=GREY, marker="_", label="stops" if sign > 0 else None
        )
    places = [max(min(look.z, HIGHEST), -HIGHEST) for look in result.looks]
    axes.plot(taken, places, color=BLUE, marker="o", label="seen")
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set(
        xlabel="users, as a share of the plan",
        ylabel="difference in standard errors (z)",
        xlim=(0, max(1.03, *times, 0)),
    )
    axes.legend(frameon=False)
    return _svg(picture)


def draw_bar(bar: Bar) -> str:
    """An interval as SVG."""
    picture, axes = _new_picture(0.9)
    axes.plot([bar.low, bar.high], [0, 0], color=BLUE, linewidth=5, solid_capstyle="butt")
    axes.plot([bar.middle], [0], color=BLUE, marker="D")
    axes.axvline(0, color=GREY, linewidth=0.8)
    if bar.limit is not None:
        axes.axvline(bar.limit, color=ORANGE, linestyle=":")
    axes.set(yticks=[])
    return _svg(picture)


def _limit(better: str, margin: float) -> float:
    return margin if better == "lower" else -margin


def _new_picture(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    picture = Figure(figsize=(7, height), layout="constrained")
    return picture, picture.subplots()


def _svg(picture: Any) -> str:
    from matplotlib import rc_context

    out = StringIO()
    with rc_context({"svg.hashsalt": "edgeship", "svg.fonttype": "none", "font.size": 9}):
        picture.savefig(out, format="svg", metadata={"Date": None})
    return "<svg" + out.getvalue().partition("<svg")[2]
