"""`edgeship doctor`: what is installed, what is missing, what to do about it."""

from __future__ import annotations

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@options.JSON
def doctor(json_file: str | None) -> None:
    """List the tools that edgeship can use, with their versions, and the command that installs a missing one.

    \b
    Example: edgeship doctor
    """
    tools = api.diagnose()
    if json_file != "-":
        from rich.text import Text

        from edgeship.terminal import Column, make_console, make_table

        out, missing = make_console(), Text("missing", style="red")
        columns = [Column(name, folds=True) for name in ("tool", "for", "version", "what to do")]
        body = [[tool.name, tool.purpose, tool.version or missing, tool.remedy] for tool in tools]
        out.print(make_table(columns, body, out.width))
    output.write_json({"tools": tools}, json_file)
