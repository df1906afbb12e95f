"""`edgeship deploy resume`: a paused channel goes on."""

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
def resume(channel: Path, name: str, keys: tuple[Path, ...], dry_run: bool, json_file: str | None) -> None:
    """Let devices take the version of a paused channel again, as many as before.

    \b
    Example: edgeship deploy resume --channel site/channel --name garments/stable --key keys
    """
    change = api.pause_rollout(channel, name, keys=keys, paused=False, dry_run=dry_run)
    show_change(change, json_file, dry_run=dry_run)
