"""Pages that name places in the tree name places that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeship.cli import COMMANDS
from scripts.maintain.cli_reference import command_line

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MEASURING = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")
# `name/` and `name/file.py` in code marks; a list such as `convert/tflite`, `onnx`, `tfjs` names folders, too.
NAMED = set(re.findall(r"`([\w./-]+)`", PAGE + GUIDE + MEASURING))
PLACES = sorted(place for place in NAMED if "/" in place and not place.startswith("edgeship."))


@pytest.mark.parametrize("place", PLACES)
def test_places_that_the_guides_name_are_there(place):
    assert (ROOT / place).exists() or (ROOT / "src" / "edgeship" / place).exists()


def links():
    """Relative links of all pages, with the page."""
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            yield pytest.param(page.parent / target, id=f"{page.name}: {target}")


@pytest.mark.parametrize("place", list(links()))
def test_links_of_the_pages_lead_somewhere(place):
    assert place.exists()


def test_every_room_has_a_floor():
    rooms = {path.name for path in (ROOT / "src" / "edgeship").iterdir() if (path / "__init__.py").is_file()}
    floors = re.findall(r"^\| \d+ \| ([^|]*) \|", PAGE, flags=re.MULTILINE)
    assert rooms <= {room.strip("`") for floor in floors for room in floor.split(", ")}


def test_the_map_answers_twenty_questions():
    """Every row of the guide's map names files, which are there (above)."""
    rows = re.findall(r"^\| ([^|]+\?) \| (.+) \|$", GUIDE, flags=re.MULTILINE)
    assert len(rows) >= 20
    assert all(re.search(r"`[\w./]+\.py`", answer) for _, answer in rows)


def test_the_page_of_the_command_line_is_what_the_commands_say():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == command_line(), "stale: make references"
    assert all(f"\n## edgeship {name}\n" in page for name in COMMANDS)


def test_contents_of_the_readme_lead_to_its_sections():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^##+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    targets = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert targets == anchors
