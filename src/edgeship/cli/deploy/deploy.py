"""`edgeship deploy`: what brings a judged bundle into an app."""

from __future__ import annotations

import click

from edgeship.cli.command_group import CommandGroup

# In the order of the list; a command is the file of its name beside this one.
SUMMARIES = {
    "codegen": "Write client code that tests itself.",
    "export": "Write a model in the layout of a store.",
    "keygen": "Make the keys that bundles and channels are signed with.",
    "sign": "Sign a bundle, so that nobody else can change it.",
    "selftest": "Compile clients and run their self-tests here.",
}


@click.group(cls=CommandGroup, files={name: (__package__, summary) for name, summary in SUMMARIES.items()})
def deploy() -> None:
    """Bring a bundle into an app.

    \b
    Example: edgeship deploy codegen bundle --for c,python --out client
    """
