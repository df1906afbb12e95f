"""`edgeship deploy pause`: no further device gets a channel's version."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.channel.options import CHANNEL, DRY_RUN, JSON, KEYS, NAME, show_change


@click.command()
@CHANNEL
@NAME
@KEYS
@DRY_RUN
@JSON
def pause(channel: Path, name: str, keys: tuple[Path, ...], dry_run: bool, json_file: str | None) -> None:
    """Let no further device take the version of a channel; who has it keeps it.

    \b
    Example: edgeship deploy pause --channel site/channel --name garments/stable --key keys
    """
    change = api.pause_rollout(channel, name, keys=keys, paused=True, dry_run=dry_run)
    show_change(change, json_file, dry_run=dry_run)
