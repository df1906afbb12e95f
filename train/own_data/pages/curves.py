"""Curves of a card as SVG: what other thresholds would do, and what a search tried."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

from edgeship.train.own_data.expectations import ThresholdPoint
from edgeship.train.own_data.samples import Picture
from edgeship.train.own_data.search_results import Search, Trial
from edgeship.untrusted import printable, shorten_text

SVG = "image/svg+xml"
BLUE, ORANGE, GREY = "#3b6ea5", "#c4742c", "#8a8a8a"
LOGARITHMIC = ("width", "learning_rate", "weight_decay", "batch")


def draw_thresholds(points: Sequence[ThresholdPoint], chosen: float, label: str) -> Picture:
    """Precision and recall of the second of two classes over the threshold, and its errors of a thousand samples."""
    figure, (shares, errors) = _new_figure(1, 2, 2.8)
    places = [point.threshold for point in points]
    known = [point for point in points if point.precision is not None]
    shares.plot([point.threshold for point in known], [point.precision for point in known], BLUE, label="precision")
    shares.plot(places, [point.recall for point in points], ORANGE, label="recall")
    shares.set(ylim=(0, 1.02), xlabel="threshold", title=f"of {_short(label)}")
    errors.plot(places, [point.false_positives for point in points], BLUE, label="false positives")
    errors.plot(places, [point.false_negatives for point in points], ORANGE, label="false negatives")
    errors.set(ylim=(0, None), xlabel="threshold", title="of a thousand samples")
    for axes in (shares, errors):
        axes.axvline(chosen, color=GREY, linestyle=":")
        axes.set_xlim(0, 1)
        axes.legend(frameon=False)
    return _to_svg(figure)


def draw_search(search: Search) -> Picture:
    """The trials of a search: how far each was trained and to what loss, and the losses by each value that was chosen."""
    names = list(search.trials[0].values)
    figure, axes = _new_figure(1 + -(-len(names) // 3), 3, 1.5 + 1.7 * (1 + -(-len(names) // 3)))
    grid = axes[0, 0].get_gridspec()
    for item in axes[0]:
        item.remove()
    _draw_budgets(figure.add_subplot(grid[0, :]), search)
    cells = list(axes[1:].flat)
    for name, cell in zip(names, cells, strict=False):
        for trial in search.trials:
            if trial.loss is not None:
                cell.plot(trial.values[name], trial.loss, **_mark(trial, search))
        cell.set(title=name.replace("_", " "))
        if name in LOGARITHMIC:
            cell.set_xscale("log")
    for cell in cells[len(names) :]:
        cell.remove()
    return _to_svg(figure)


def _draw_budgets(axes: Any, search: Search) -> None:
    for trial in search.trials:
        if trial.loss is not None:
            axes.plot(100 * trial.budget, trial.loss, **_mark(trial, search))
    axes.set(
        xlabel="trained for, % of the epochs",
        ylabel="validation loss",
        title="usual: square, taken: star, stopped: grey",
    )


def _mark(trial: Trial, search: Search) -> dict[str, Any]:
    if trial.number == search.chosen:
        return {"marker": "*", "color": ORANGE, "markersize": 11, "linestyle": "none", "zorder": 3}
    marker = "s" if trial.number == 0 else "o"
    return {"marker": marker, "color": GREY if trial.stopped else BLUE, "markersize": 5, "linestyle": "none"}


def _short(label: str) -> str:
    return printable(shorten_text(label, 40)).replace("$", "")  # which would begin a formula


def _new_figure(rows: int, columns: int, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    return figure, figure.subplots(rows, columns)


def _to_svg(figure: Any) -> Picture:
    from matplotlib import rc_context

    out = StringIO()
    with rc_context({"svg.hashsalt": "edgeship", "svg.fonttype": "none", "font.size": 9}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return Picture(SVG, out.getvalue().encode())
