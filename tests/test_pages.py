"""docs/README.md lists every page, and what points to a section of docs/measuring.md points to one that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SECTIONS = re.findall(r"^## (\d+)\. ", (DOCS / "measuring.md").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_index_lists_every_page() -> None:
    listed = set(re.findall(r"\]\(([^)]+)\)", (DOCS / "README.md").read_text(encoding="utf-8")))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} - {"README.md"}
    assert pages <= listed


def references() -> Iterator[tuple[str, str]]:
    """File and section of every reference in code."""
    for folder in ("src/edgeship", "train", "optimize", "convert", "runtimes", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                for section in re.findall(r"measuring\.md(?: (\d+))?", path.read_text(encoding="utf-8")):
                    yield path.relative_to(ROOT).as_posix(), section


def test_sections_are_numbered_in_order() -> None:
    assert [str(number) for number in range(1, len(SECTIONS) + 1)] == SECTIONS


@pytest.mark.parametrize(("file", "section"), sorted(set(references())))
def test_every_reference_has_its_section(file: str, section: str) -> None:
    assert section in SECTIONS, f"{file} points to measuring.md {section or 'without a section'}"


def test_there_are_references() -> None:
    assert {section for _, section in references()} >= {"1", "2", "4", "5", "6", "7"}
