"""`edgeship deploy status`: what a channel's folder holds."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.channel.options import CHANNEL, JSON, show_status


@click.command()
@CHANNEL
@JSON
def status(channel: Path, json_file: str | None) -> None:
    """Show the channels of a folder, their versions, and when its signatures expire. Needs no key.

    Exit code 1 where something expires within a day (the timestamp, which holds for one: within 6 hours), has expired, or a file
    is missing; 2 where the metadata is damaged.

    \b
    Example: edgeship deploy status --channel site/channel
    """
    found = api.read_channel(channel)
    show_status(found, json_file)
    if found.problems:
        raise SystemExit(1)
