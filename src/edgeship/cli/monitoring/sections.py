"""Tables of a result in the terminal."""

from __future__ import annotations

import click

from edgeship import api


def print_sections(sections: tuple[api.Section, ...]) -> None:
    """Each with its title; the notes on them are on the page."""
    from edgeship.terminal import Column, make_console, make_table

    out = make_console()
    for section in sections:
        click.echo(f"\n{section.title}")
        columns = [
            Column(head, right=place >= section.texts, folds=place < section.texts)
            for place, head in enumerate(section.heads)
        ]
        out.print(make_table(columns, [list(row) for row in section.rows], out.width))
