"""Writes what a run left: `timeline.html` for people, `timeline.json` for tests, `weeks.svg` for a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from edgeship.light_dataclass import dataclass
from edgeship.storage.atomic import atomic_file
from scripts.lifecycle.loop.pictures import draw_weeks
from scripts.lifecycle.loop.record import Picture, Recorder, Station, cpu_seconds
from scripts.lifecycle.loop.world import Week, World

PAGE, DATA, WEEKS = "timeline.html", "timeline.json", "weeks.svg"
TEMPLATE = Path(__file__).with_name("timeline.html")


@dataclass(frozen=True)
class Story:
    """A run: its stations and weeks, how many devices, the seed, and seconds: of the wall's clock, of processors.

    `cpu_seconds` are more than those of all stations: some commands end between two.
    """

    stations: Sequence[Station]
    weeks: Sequence[Week]
    clients: int
    seed: int
    seconds: float
    cpu_seconds: float

    @property
    def held(self) -> bool:
        """Whether every station held."""
        return all(station.outcome == "held" for station in self.stations)


def make_story(recorder: Recorder, world: World, seconds: float) -> Story:
    """What was recorded of a run that took so many seconds, and is over with all that it started."""
    return Story(recorder.stations, world.weeks, world.count, world.seed, seconds, cpu_seconds())


def write_story(out: Path, story: Story) -> Path:
    """Write a story's page, its JSON, and the picture of its weeks where there are some; the page."""
    pictures = []
    if story.weeks:
        drawn = draw_weeks(story.weeks, story.clients)
        write_text(out / WEEKS, drawn.markup)
        pictures.append(drawn)
    write_text(out / DATA, json.dumps(describe(story), indent=1, default=str))
    write_text(out / PAGE, render(story, pictures))
    return out / PAGE


def describe(story: Story) -> dict[str, Any]:
    """What `timeline.json` holds; pictures are in the page alone."""
    stations = [
        {
            **{name: getattr(station, name) for name in ("name", "title", "outcome", "failure", "moment")},
            "seconds": round(station.seconds, 1),
            "cpu_seconds": round(station.cpu_seconds, 1),
            "checks": station.checks,
            "evidence": station.evidence,
            "commands": [
                {"command": item.command, "exit_code": item.exit_code, "seconds": round(item.seconds, 1)}
                for item in station.commands
            ],
            "pictures": [picture.caption for picture in station.pictures],
        }
        for station in story.stations
    ]
    weeks = [
        {
            **{name: getattr(week, name) for name in ("number", "window", "installs", "inferences", "right", "turned")},
            "accuracy": week.accuracy,
            "versions": dict(week.versions),
        }
        for week in story.weeks
    ]
    return {
        "schema": 1, "held": story.held, "seconds": round(story.seconds, 1), "cpu_seconds": round(story.cpu_seconds, 1),
        "clients": story.clients, "seed": story.seed, "stations": stations, "weeks": weeks,
    }  # fmt: skip


def render(story: Story, overview: Sequence[Picture]) -> str:
    """The page. All text is escaped; markup is only what this program drew."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["show"] = show_value
    browser = any(station.name == "page" and station.outcome == "held" for station in story.stations)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        held=story.held, stations=story.stations, clients=story.clients, seconds=story.seconds, cpu=story.cpu_seconds,
        seed=story.seed, overview=overview, browser=browser,
    )  # fmt: skip


def show_value(value: Any) -> str:
    """A piece of evidence in words."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {show_value(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(show_value, value))
    return str(value)


def write_text(path: Path, text: str) -> None:
    """A file that is there whole or not at all."""
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
