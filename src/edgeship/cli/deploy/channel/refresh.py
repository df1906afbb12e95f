"""`edgeship deploy refresh`: a channel's metadata, signed anew before it expires."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.channel.options import CHANNEL, JSON, KEYS, show_status


@click.command()
@CHANNEL
@KEYS
@JSON
def refresh(channel: Path, keys: tuple[Path, ...], json_file: str | None) -> None:
    """Sign the timestamp of a channel anew, which holds for a day: for a cron job, every few hours.

    Root, targets and snapshot are signed anew, too, in the second half of their lives (a year, 90 and 7 days), where their keys
    are among those that are named. Exit code 1 where one of them expires within a day and its key is not.

    \b
    Example: edgeship deploy refresh --channel site/channel --key online-keys
    """
    status = api.refresh_channel(channel, keys=keys)
    show_status(status, json_file)
    if status.problems:
        raise SystemExit(1)
