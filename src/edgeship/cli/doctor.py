"""`edgeship doctor`: what is installed, what is missing, what to do about it."""

from __future__ import annotations

import click

from edgeship.cli import options


@click.command(short_help="Show what is installed, what is missing, and what to do.")
@options.JSON
def doctor(json_file: str | None) -> None:
    """List the tools that edgeship can use, with their versions, and the command that installs a missing one.

    \b
    Example: edgeship doctor
    """
    from edgeship.pipeline.doctor import diagnose, print_diagnosis

    found = diagnose()
    if json_file != "-":
        print_diagnosis(found)
    options.emit({"tools": found}, json_file)
