"""Options that commands on an inbox share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
STORE = click.option(
    "--store", metavar="DIR_OR_URI", required=True,
    help="The inbox: a folder, sqlite:///FILE, or postgresql://USER@HOST/DATABASE.",
)  # fmt: skip


def bundle_options(command: F) -> F:
    """Which bundles' reports are taken."""
    for option in (
        click.option("--registry", metavar="URI", help="Of all versions of a registry, as sqlite:///registry.db."),
        click.option("--channel", type=PATH, help="Of all versions in a channel's folder."),
        click.option(
            "--bundle", "bundles", type=PATH, multiple=True,
            help="Whose reports are taken, now and from now on; may be named again.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def version_options(command: F) -> F:
    """Which versions' reports are looked at."""
    for option in (
        click.option("--registry", metavar="URI", help="Of the versions of a name in a registry, as sqlite:///registry.db."),
        click.option("--channel", type=PATH, help="Of the versions of a name in a channel's folder."),
        click.option("--name", metavar="NAME", help="Which name, as garments (default: the only one in them)."),
    ):  # fmt: skip
        command = option(command)
    return command
