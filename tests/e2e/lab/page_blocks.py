"""The fenced blocks of the project's pages, and the commands in them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/ci.md", "docs/data.md")
SHELL = ("", "sh", "bash")  # a block without a language is a shell's


@dataclass(frozen=True)
class Block:
    """A fenced block: its language (empty where none is named), the heading above it, and the line that it begins at."""

    page: str
    heading: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> tuple[str, ...]:
        """The command lines without their comments."""
        lines = (re.split(r"(?:^|\s)# ", line)[0].strip() for line in self.text.splitlines())
        return tuple(line for line in lines if line)


def read_blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, given by its path in the repository. Raises ValueError where one is not closed."""
    found: list[Block] = []
    lines: list[str] = []
    heading, begin, language = "", 0, ""
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if line.startswith("```") and begin:
            found.append(Block(page, heading, begin, language, "\n".join(lines) + "\n"))
            begin = 0
        elif line.startswith("```"):
            begin, language, lines = number, line.strip("` "), []
        elif begin:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    if begin:
        raise ValueError(f"{page}:{begin}: the block is not closed")
    return found


def commands_below(page: str, heading: str) -> tuple[str, ...]:
    """The commands of all shell blocks under a heading, in their order."""
    shell = [block for block in read_blocks(page) if block.language in SHELL and block.heading == heading]
    return tuple(command for block in shell for command in block.commands)


def headings_with_commands(page: str) -> list[str]:
    """The headings of a page under which a shell block stands."""
    return list(dict.fromkeys(block.heading for block in read_blocks(page) if block.language in SHELL))


def read_steps() -> dict[str, str]:
    """The `run:` steps of the workflow of docs/ci.md by name, as a runner would execute them."""
    found = {}
    pattern = r"- name: (.+)\n(?:\s+if: .+\n)?\s+run: (?:\|\n((?:\s{10}.+\n)+)|(.+)\n)"
    for name, block, line in re.findall(pattern, (ROOT / "docs" / "ci.md").read_text()):
        found[name] = textwrap.dedent(block) if block else line
    return found
