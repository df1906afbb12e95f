"""The report's plots as inline SVG, whose colours come from the page so that they follow its light or dark scheme."""

from __future__ import annotations

import html
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from matplotlib import rc_context, rcdefaults
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from edgeship.benchmarks.gate.checks import class_name, metric_of
from edgeship.benchmarks.report import parity_matrix_plot, table_rows
from edgeship.benchmarks.report.layers import layer_plot
from edgeship.bundle.figures.comparisons import AccuracyReport, LayerSensitivity
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import Manifest
from edgeship.formats.formats import FORMATS
from edgeship.light_dataclass import dataclass
from edgeship.types import Kind
from edgeship.untrusted import shorten_text

INK, FAINT, LINE = "#010101", "#020202", "#030303"  # stand-ins: `svg_text` replaces them by the page's colours
SERIES = tuple(f"#04040{number}" for number in range(1, 7))
PAGE = {INK: "currentColor", FAINT: "var(--faint)", LINE: "var(--line)"} | {
    colour: f"var(--s{number})" for number, colour in enumerate(SERIES)
}
MARKERS = dict(zip(FORMATS, itertools.cycle("os^Dv<>"), strict=False))
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "edgeship", "font.family": "sans-serif", "font.size": 9,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": LINE, "xtick.color": FAINT, "ytick.color": FAINT,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": LINE, "grid.linewidth": 0.6,
    "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "figure.facecolor": "none",
    "axes.facecolor": "none", "savefig.facecolor": "none", "legend.frameon": False, "axes.axisbelow": True,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "text.parse_math": False,  # names with dollar signs are no formulas
}  # fmt: skip
WIDTH = 4.6  # inches: a phone shows it at about its own size
CLASSES = 16
# What a report shows at most: a bundle may hold thousands of artifacts, and the tables hold them all.
PLOTS, BARS, POINTS, ENTRIES = 60, 100, 100, 24
NAME = 48  # characters


@contextmanager
def _new_figure(height: float) -> Iterator[tuple[Figure, Axes]]:
    with rc_context(STYLE):
        figure = Figure((WIDTH, height), layout="constrained")
        yield figure, figure.subplots()


def svg_text(figure: Figure, description: str) -> str:
    """A figure as inline SVG in the page's colours; `description` is read to those who do not see it."""
    stream = io.StringIO()
    with rc_context({"text.parse_math": False}):  # the marks of axes are made only now
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    for colour, value in PAGE.items():
        text = text.replace(colour, value)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    label = f' role="img" aria-label="{html.escape(description)}"'
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', lambda match: match[1] + label, text, count=1)


def all_plots(manifest: Manifest) -> list[str]:
    """The plots that the manifest has figures for: where there are many the first ones, with their first or worst figures."""
    items = table_rows.host_measurements(manifest)
    with rc_context():
        rcdefaults()  # the user's own settings are not the report's, and could start TeX
        plots = [
            _plot_against_cost(items, "size_brotli_bytes", "size on the wire (brotli)", table_rows.size_text),
            _plot_against_cost(items, "latency_p50_ms", "median latency, batch 1", table_rows.milliseconds_text),
            _plot_parity(items),
            _plot_matrix(manifest),
        ]
        more = (
            *(partial(_plot_classes, manifest, item) for item in items),
            *(partial(_plot_layers, sensitivity) for sensitivity in manifest.debug.values()),
        )
        svgs = filter(None, chain(plots, (draw() for draw in more)))
        return list(islice(svgs, PLOTS))


def _part_note(drawn_items: Sequence[Any], all_of_them: Sequence[Any], which: str) -> str:
    """What a title says where not all is drawn."""
    return f", the {len(drawn_items)} {which} of {len(all_of_them)}" if len(drawn_items) < len(all_of_them) else ""


def _shorten_name(text: str) -> str:
    return shorten_text(text, NAME)


@dataclass(frozen=True)
class _Point:
    """An artifact in a plot against its cost; `low` and `high` are the ends of its figure's interval."""

    artifact: str
    cost: float
    report: AccuracyReport
    server: float
    value: float
    low: float
    high: float


def _make_point(item: Measurement, metric: str) -> _Point | None:
    report, cost = item.details.accuracy, metric_of(item, metric).value
    # Figures of other kinds than measured ones have their table; one axis never mixes them.
    if not cost or table_rows.figure_kinds(item) != [Kind.MEASURED] or report is None or report.value is None:
        return None
    if report.server is None or report.low is None or report.high is None:
        return None
    sign = 1 if report.higher_is_better else -1
    low, high = sorted(report.server - sign * drop for drop in (report.low, report.high))
    return _Point(item.artifact, cost, report, report.server, report.value, low, high)


def _plot_against_cost(
    items: Sequence[Measurement], metric: str, label: str, form: Callable[[float], str]
) -> str | None:
    """Accuracy against a cost, on a logarithmic axis; the bars are the paired interval, the lines the server model."""
    all_points = [point for item in items if (point := _make_point(item, metric))]
    if not all_points:
        return None
    points = all_points[:POINTS]
    first = points[0]
    variants = list(dict.fromkeys(point.artifact.partition("/")[2] for point in points))
    scale = 100 if first.report.share else 1
    with _new_figure(3.3) as (figure, axes):
        axes.axhline(first.server * scale, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="server model")
        for point in points:
            family, _, variant = point.artifact.partition("/")
            colour = SERIES[variants.index(variant) % len(SERIES)]
            ends = [point.low * scale, point.high * scale]
            axes.plot([point.cost, point.cost], ends, color=colour, linewidth=1.2, alpha=0.6)
            axes.plot(
                point.cost,
                point.value * scale,
                MARKERS[family],
                color=colour,
                markersize=8,
                fillstyle="none",
                markeredgewidth=1.8,
            )
        for number, variant in enumerate(variants[:ENTRIES]):
            axes.plot([], [], color=SERIES[number % len(SERIES)], linewidth=4, label=_shorten_name(variant))
        for family in dict.fromkeys(point.artifact.partition("/")[0] for point in points):
            axes.plot([], [], MARKERS[family], color=INK, fillstyle="none", label=family)
        _log_axis(axes, form, [point.cost for point in points])
        axes.set(xlabel=label, ylabel=f"{_shorten_name(first.report.metric)}{' (%)' if scale == 100 else ''}")
        more = _part_note(points, all_points, "first")
        axes.set_title(f"accuracy against {label.partition(',')[0].partition(' (')[0]}{more}")
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        return svg_text(figure, f"accuracy against {label}")


def _log_axis(axes: Axes, form: Callable[[float], str], values: Sequence[float]) -> None:
    low, high = min(values) / 1.4, max(values) * 1.4
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    marks = [base * 10.0**power for power in range(-7, 12) for base in (1, 2, 5)]
    inside = [mark for mark in marks if low <= mark <= high]
    axes.set_xticks(inside if len(inside) <= 6 else inside[:: -(-len(inside) // 6)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)


def _plot_parity(items: Sequence[Measurement]) -> str | None:
    """Signal to noise ratio of every output of every artifact."""
    ratios = []
    for item in items:
        outputs = item.details.parity or {}
        for output, parity in outputs.items():
            if parity.sqnr_db is not None:
                ratios.append(
                    (_shorten_name(item.artifact + (f" {output}" if len(outputs) > 1 else "")), parity.sqnr_db)
                )
    if not ratios:
        return None
    bars = ratios if len(ratios) <= BARS else sorted(ratios, key=itemgetter(1))[:BARS]
    with _new_figure(1.1 + 0.27 * len(bars)) as (figure, axes):
        names, values = [name for name, _ in bars], [value for _, value in bars]
        axes.barh(range(len(bars)), values, color=SERIES[0], height=0.55)
        for position, value in enumerate(values):
            axes.annotate(
                f"{value:.0f}", (max(value, 0), position), (3, 0), textcoords="offset points", va="center", fontsize=8
            )
        axes.set_yticks(range(len(bars)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(min(0, *values), max(values) * 1.12)
        more = _part_note(bars, ratios, "worst")
        axes.set(xlabel="SQNR in dB (more is nearer to the server model)", title=f"output parity{more}")
        return svg_text(figure, "signal to quantization noise ratio of every output")


def _plot_matrix(manifest: Manifest) -> str | None:
    """The parity matrix of the devices."""
    figure = parity_matrix_plot.draw(manifest, STYLE, SERIES, FAINT)
    return svg_text(figure, "parity of every artifact on every device") if figure else None


def _plot_layers(sensitivity: LayerSensitivity) -> str | None:
    """What `edgeship debug` found of each layer."""
    figure = layer_plot.draw(sensitivity, STYLE, SERIES)
    description = f"signal to noise ratio of the layers of {_shorten_name(sensitivity.artifact)}"
    return svg_text(figure, description) if figure else None


def _plot_classes(manifest: Manifest, item: Measurement) -> str | None:
    """The drop of each class with its interval, worst first; classes that are significantly worse are filled."""
    report = item.details.accuracy
    if report is None or report.value is None:
        return None
    rows = [row for row in report.per_class if row.server != row.artifact or row.significant]
    if not rows:
        return None
    worst = sorted(rows, key=lambda row: -row.drop)[:CLASSES]
    with _new_figure(1.2 + 0.25 * len(worst)) as (figure, axes):
        axes.axvline(0, color=INK, linewidth=1)
        for position, row in enumerate(worst):
            colour = SERIES[1] if row.significant and row.drop > 0 else SERIES[0]
            axes.plot([row.low * 100, row.high * 100], [position] * 2, color=colour, linewidth=1.4)
            face = colour if row.significant else "none"
            axes.plot(row.drop * 100, position, "o", color=colour, markerfacecolor=face, markersize=6)
        labels = manifest.labels or ()
        axes.set_yticks(range(len(worst)), [class_name(labels, row.label)[:24] for row in worst])
        axes.set_ylim(len(worst) - 0.5, -0.5)
        more = _part_note(worst, rows, "worst")
        axes.set(xlabel="drop in points (95 % interval; filled: significant)")
        axes.set_title(f"classes: {_shorten_name(item.artifact)} on {_shorten_name(item.runtime)}{more}")
        return svg_text(figure, f"per-class drops of {_shorten_name(item.artifact)}")
