"""The page: one HTML file that needs nothing else, read top down: verdict, findings, columns, evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeship.data_checks.report import ColumnReport, DataReport
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable, printable_value

TEMPLATE = "page.html"
SHOWN = 40  # rows of a table of evidence
WIDTH, HEIGHT = 160, 36  # of a column's picture


@dataclass(frozen=True)
class Bar:
    """A bar of a picture, in its units, and what it says on being pointed at."""

    x: float
    y: float
    width: float
    height: float
    title: str


def render_page(report: DataReport) -> str:
    """The HTML of a report."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pictures = report.pictures  # of many characters, and of our making
    report = printable_value(report)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        report=report,
        name=Path(report.path).name,
        pictures=[(printable(name), content) for name, content in pictures],
        checks=describe_checks(report),
        columns=[(column, draw_column(column)) for column in report.columns],
        classes=draw_counts(report.classes) if report.classes else [],
        shown=SHOWN,
        width=WIDTH,
        height=HEIGHT,
    )


def describe_checks(report: DataReport) -> list[tuple[str, str]]:
    """What was looked at, and how many findings there are of it; what was skipped, and why."""
    count: dict[str, int] = {}
    for finding in report.findings:
        count[finding.check] = count.get(finding.check, 0) + 1
    names = ["duplicates", "leakage", "labels", "balance"]
    names += ["missing", "constant", "equal columns", "mixed", "infinite"] if report.kind == "table" else []
    names += ["shared", "groups", "shift"] if report.evaluation else []
    names += [name for name in count if name not in names]
    reasons = {name: f"not looked at: {why}" for name, why in report.skipped.items()}
    return [
        (name, reasons.get(name) or (f"{count[name]:,} found" if name in count else "nothing found")) for name in names
    ]


def draw_column(column: ColumnReport) -> list[Bar]:
    """The bars of a column's histogram, or of its most frequent categories."""
    if not column.histogram:
        return draw_counts(column.categories)
    low, high = column.low or 0.0, column.high or 0.0
    step = (high - low) / len(column.histogram)
    names = [f"{low + step * i:.4g} to {low + step * (i + 1):.4g}" for i in range(len(column.histogram))]
    return _draw_bars(names, column.histogram)


def draw_counts(counts: Mapping[str, int]) -> list[Bar]:
    """Bars of counts."""
    return _draw_bars(list(counts), list(counts.values()))


def _draw_bars(names: Sequence[str], counts: Sequence[int]) -> list[Bar]:
    most, width = max(counts, default=0) or 1, WIDTH / max(len(counts), 4)
    bars = []
    for place, (name, count) in enumerate(zip(names, counts, strict=True)):
        height = max(count / most * HEIGHT, 1 if count else 0)
        title = f"{name}: {count:,}"
        bars.append(
            Bar(round(place * width, 2), round(HEIGHT - height, 2), round(width - 1, 2), round(height, 2), title)
        )
    return bars
