"""A group of commands, each in a file of its own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class CommandGroup(click.Group):
    """Loads a command's file when that command is asked for; the list of commands needs none of them.

    `files`: for each command, the package its file `<command>.py` lies in, and what the list says of it.
    """

    def __init__(self, *args: Any, files: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.files = files

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(self.files)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, its file imported; None where there is none."""
        if cmd_name not in self.files:
            return None
        module = importlib.import_module(f"{self.files[cmd_name][0]}.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.files.items()])
