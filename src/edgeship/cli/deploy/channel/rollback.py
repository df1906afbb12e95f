"""`edgeship deploy rollback`: all devices go back to an older version."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.channel.options import CHANNEL, DRY_RUN, JSON, KEYS, NAME, show_change


@click.command()
@CHANNEL
@NAME
@KEYS
@click.option("--to", type=click.IntRange(min=1), help="Which version (default: the previous one).")
@DRY_RUN
@JSON
def rollback(
    channel: Path, name: str, keys: tuple[Path, ...], to: int | None, dry_run: bool, json_file: str | None
) -> None:
    """Send all devices of a channel to its previous version; the present one is withdrawn, and who runs it leaves it.

    Devices have it when they next ask, which they do once the folder is uploaded. An experiment ends. With --to a version that
    was withdrawn comes back.

    \b
    Examples:
      edgeship deploy rollback --channel site/channel --name garments/stable --key keys
      edgeship deploy rollback --channel site/channel --name garments/stable --key keys --to 3 --dry-run
    """
    change = api.roll_back_channel(channel, name, keys=keys, to=to, dry_run=dry_run)
    show_change(change, json_file, dry_run=dry_run)
