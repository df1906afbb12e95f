"""What commands print for people: at most 120 columns, in a terminal, a file or a pipe alike, unless `--wide` asks for more.

Names and messages come from files of others: whatever is printed here is text, never markup, and nothing in it steers a
terminal (`untrusted.printable`).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable_lines, shorten_text

WIDTH = 120
WIDE = 240  # of a file or a pipe with `--wide`
GAP = 2  # blanks between two columns
LEAST = 12  # columns that a folded text keeps
# A name is folded behind what joins its parts, so that it can still be read.
_PARTS = re.compile(r"[^\s/_@-]+[/_@-]*\s*|[/_@-]+\s*|\s+")


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, `right` for figures, `folds` for texts that may go on in another line."""

    heading: str
    right: bool = False
    folds: bool = False


class PlainConsole(Console):
    """A console for foreign texts: a string is no markup, and what steers a terminal is written as an escape."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed; those that rich itself makes to move the cursor are left as they are."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable_lines(segment.text), segment.style)


def make_console(*, wide: bool = False) -> Console:
    """Standard output, no wider than `WIDTH`; with `wide` as wide as its terminal, or `WIDE` where it is none."""
    terminal = PlainConsole()
    if wide:
        return terminal if terminal.is_terminal else PlainConsole(width=WIDE)
    return PlainConsole(width=min(terminal.width, WIDTH) if terminal.is_terminal else WIDTH)


def fold_text(text: str, width: int) -> str:
    """The text in lines of at most `width` columns, broken between words or behind what joins the parts of a name."""
    return "\n".join(_fold_line(line, width) for line in text.split("\n"))


def _fold_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    lines = [""]
    for part in _PARTS.findall(line):
        if len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
        while len(lines[-1].rstrip()) > width:  # a part longer than a line
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(item.rstrip() for item in lines if item.strip())


def wrap_text(text: str, width: int = WIDTH, indent: int = 0) -> str:
    """A line of words in lines of at most `width` columns and at most `WIDTH`, all but the first indented."""
    return textwrap.fill(text, min(width, WIDTH), subsequent_indent=" " * indent, break_on_hyphens=False)


def column_widths(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> list[int]:
    """The width that each column takes unfolded; its heading may take two lines."""
    widths = []
    for number, column in enumerate(columns):
        lines = [line for row in rows for line in _plain_text(row[number]).split("\n")]
        widths.append(max(_in_two_lines(printable_lines(column.heading)), *map(len, lines), 0))
    return widths


def _in_two_lines(heading: str) -> int:
    """The least width in which a heading takes at most two lines, broken where it says so or between its words."""
    words = heading.split()
    breaks = [(" ".join(words[:number]), " ".join(words[number:])) for number in range(1, len(words) + 1)]
    halves = [heading.split("\n")] if "\n" in heading else breaks
    return min((max(map(len, half)) for half in halves), default=0)


def table_width(widths: Sequence[int]) -> int:
    """The width of a table whose columns have these widths."""
    return sum(widths) + GAP * max(0, len(widths) - 1)


def narrow_columns(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Widths such that the table fits into `room`, as far as the columns that fold allow it: the widest of them give first."""
    narrow = list(widths)
    while table_width(narrow) > room:
        able = [number for number, column in enumerate(columns) if column.folds and narrow[number] > LEAST]
        if not able:
            break
        narrow[max(able, key=narrow.__getitem__)] -= 1
    return narrow


def make_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], room: int = WIDTH) -> Table:
    """A table without lines that is at most `room` columns wide, if the columns that do not fold allow it."""
    widths = narrow_columns(columns, column_widths(columns, rows), room)
    result = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        justify = "right" if column.right else "left"
        heading = Text(fold_text(printable_lines(column.heading), width))
        result.add_column(heading, justify=justify, no_wrap=True, min_width=width)  # type: ignore[arg-type]
    for row in rows:
        result.add_row(*(_render_cell(cell, width) for cell, width in zip(row, widths, strict=True)))
    return result


def _render_cell(cell: str | Text, width: int) -> Text:
    return Text(fold_text(_plain_text(cell), width), style=cell.style if isinstance(cell, Text) else "")


def _plain_text(cell: str | Text) -> str:
    lines = (cell.plain if isinstance(cell, Text) else cell).split("\n")
    return "\n".join(printable_lines(shorten_text(line)) for line in lines)
