"""Writes docs/results/learning/lifecycle.md and its picture: `python -m scripts.lifecycle --results`."""

from __future__ import annotations

from datetime import date

from scripts import RESULTS
from scripts.lifecycle.loop.pictures import draw_weeks
from scripts.lifecycle.loop.timeline import Story, write_text

PAGE, PICTURE = RESULTS / "learning" / "lifecycle.md", RESULTS / "learning" / "lifecycle.svg"


def write_results(story: Story, day: date) -> None:
    """Write the page of a run, and the picture of its weeks. `day`: today's date, not the simulated one."""
    if story.weeks:
        write_text(PICTURE, draw_weeks(story.weeks, story.clients).markup)
    write_text(PAGE, render_results(story, day))


def render_results(story: Story, day: date) -> str:
    """The page."""
    verdict = "Every station holds." if story.held else "**Not every station holds.**"
    stations = [
        f"| {item.name} | {item.outcome} | {item.seconds:.0f} | {item.cpu_seconds:.0f} | {escape(found)} |"
        for item in story.stations
        for found in ["; ".join([*item.checks, *filter(None, [item.failure])])]
    ]
    weeks = [
        f"| {week.number} | {'darker and tilted' if week.turned else ''} | {week.installs} | {week.inferences:,} | "
        f"{100 * week.accuracy:.1f} | {', '.join(f'{count} of version {name}' for name, count in week.versions.items())} |"
        for week in story.weeks
    ]
    lines = [
        "# One run of the whole loop", "",
        f"By `python -m scripts.lifecycle --results` ([what it does](../../learning/lifecycle.md)); {day.isoformat()}, seed "
        f"{story.seed}, {story.clients} devices. {verdict} {story.seconds:.0f} s, {story.cpu_seconds:.0f} s of processor time. "
        "`measured`, but for the users, who are `simulated`. Processor time counts for the station in which a command ended; "
        "where it ended between two, for the whole alone.",
        "", "![right answers and versions by week](lifecycle.svg)", "",
        "| station | outcome | s | processor s | what was found |", "|---|---|---|---|---|", *stations, "",
        "| week | pictures | devices | answers | right by the truth, % | devices ran |", "|---|---|---|---|---|---|", *weeks, "",
    ]  # fmt: skip
    return "\n".join(lines)


def escape(text: str) -> str:
    """Text of a table's cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
