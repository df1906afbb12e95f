"""Pages: HTML that needs nothing else, with pictures, or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.judge import MOVED
from edgeship.monitoring.drift.results import DriftResult, NamedDrift
from edgeship.monitoring.drift.tables import Section, describe_drift, render_markdown
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import printable

BLUE, ORANGE, GREY = "#3b6ea5", "#c4742c", "#8a8a8a"
MOST_BARS = 12


@dataclass(frozen=True)
class PageContent:
    """What a page shows; `pictures`: SVG of our own."""

    title: str
    verdict: str
    lines: tuple[str, ...]
    sections: tuple[Section, ...]
    pictures: tuple[str, ...] = ()


def check_page(path: Path) -> None:
    """Raise InputError for a page that is neither .html nor .md."""
    if path.suffix not in (".html", ".md"):
        raise InputError(f"{printable(path)}: a page ends with .html or .md")


def write_page(content: PageContent, path: Path) -> None:
    """Write a page, by its ending."""
    if path.suffix == ".md":
        title = f"{content.title}: {content.verdict}" if content.verdict else content.title
        text = render_markdown(title, content.lines, content.sections)
    else:
        text = render_html(content)
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def render_html(content: PageContent) -> str:
    """The page as HTML; foreign texts in it are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("edgeship.monitoring.drift", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("page.html").render(
        title=content.title, verdict=content.verdict, lines=content.lines, sections=content.sections,
        pictures=content.pictures,
    )  # fmt: skip


def show_drift(result: DriftResult) -> PageContent:
    """The page of a week."""
    pictures = [draw_weeks(result)] if any(week.estimate is not None for week in result.weeks) else []
    if result.judgement and result.judgement.histograms:
        pictures.append(draw_moves(result))
    warning = (f"Early warning, preliminary: {result.early.warning}.",) if result.early and result.early.warning else ()
    last = f"Profile {result.profile[:12]}, baseline {_span(result.baseline)}."
    lines = (*warning, *result.reasons, *result.notes, last)
    title = f"Drift of {result.version} in {result.window}" if result.version else f"Drift in {result.window}"
    return PageContent(title, result.verdict, lines, describe_drift(result), tuple(pictures))


def show_versions(result: NamedDrift) -> PageContent:
    """The page of all versions of a name: one after the other, the most reports first."""
    pages = [show_drift(item) for item in result.versions]
    lines = tuple(
        f"{item.version}: {item.verdict}: {line}" if number == 0 else f"{item.version}: {line}"
        for item, page in zip(result.versions, pages, strict=True)
        for number, line in enumerate(page.lines)
    )
    if result.silent:
        lines += (f"No report of that week: {'; '.join(result.silent)}.",)
    sections = tuple(
        replace(section, title=f"{item.version}: {section.title}")
        for item, page in zip(result.versions, pages, strict=True)
        for section in page.sections
    )
    pictures = tuple(picture for page in pages for picture in page.pictures)
    return PageContent(f"Drift of {result.name} in {result.window}", result.verdict, lines, sections, pictures)


def _span(windows: Sequence[str]) -> str:
    return f"{windows[0]} to {windows[-1]}" if windows else "not there yet"


def draw_weeks(result: DriftResult) -> str:
    """The estimated accuracy by week, and how low it may be before the alarm, as SVG."""
    weeks = [week for week in result.weeks if week.estimate is not None]
    picture, axes = new_picture(2.8)
    places = range(len(weeks))
    middles = [100 * float(week.estimate or 0) for week in weeks]
    halves = [100 * float((week.high or 0) - (week.low or 0)) / 2 for week in weeks]
    axes.errorbar(places, middles, yerr=halves, color=BLUE, marker="o", capsize=3)
    if result.judgement and result.judgement.drop:
        before = 100 * result.judgement.drop.before
        axes.axhline(before, color=GREY, linewidth=0.8)
        axes.axhline(before - 100 * result.tolerance, color=ORANGE, linestyle=":")
    step = max(1, len(weeks) // 12)
    axes.set_xticks(list(places)[::step], [week.window for week in weeks][::step], rotation=30)
    axes.set(ylabel="estimated accuracy, %", title=shorten(result.version))
    return to_svg(picture)


def draw_moves(result: DriftResult) -> str:
    """How far the histograms moved, those that surely did in colour, as SVG."""
    moves = result.judgement.histograms[:MOST_BARS][::-1] if result.judgement else ()
    picture, axes = new_picture(0.8 + 0.25 * len(moves))
    colours = [ORANGE if move.p <= MOVED else GREY for move in moves]
    axes.barh([shorten(move.name) for move in moves], [100 * move.distance for move in moves], color=colours)
    axes.set(
        xlabel="counts in other bins than in the baseline, %; in colour: surely moved", title=shorten(result.version)
    )
    return to_svg(picture)


def shorten(name: str) -> str:
    """A foreign name for a picture."""
    text = printable(name).replace("$", "")  # which would begin a formula
    return text if len(text) <= 40 else text[:39] + "…"


def new_picture(height: float) -> tuple[Any, Any]:
    """A figure of that height in inches, and its axes."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(8, height), layout="constrained")
    return picture, picture.subplots()


def to_svg(picture: Any) -> str:
    """A figure as SVG, the same at every run."""
    from matplotlib import rc_context

    out = StringIO()
    with rc_context({"svg.hashsalt": "edgeship", "svg.fonttype": "none", "font.size": 9}):
        picture.savefig(out, format="svg", metadata={"Date": None})
    return "<svg" + out.getvalue().partition("<svg")[2]
