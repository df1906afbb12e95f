"""`edgeship deploy rotate`: a role gets new keys."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.channel.options import CHANNEL, JSON, KEYS, show_status


@click.command()
@CHANNEL
@click.option(
    "--role", type=click.Choice(["root", "targets", "snapshot", "timestamp"]), required=True, help="Whose keys change."
)
@KEYS
@click.option(
    "--new-key",
    "new_keys",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="A folder of keygen with the role's new key, or its file; several for several keys.",
)
@click.option(
    "--threshold", type=click.IntRange(min=1), help="How many of them must sign (default: as many as before)."
)
@JSON
def rotate(
    channel: Path,
    role: str,
    keys: tuple[Path, ...],
    new_keys: tuple[Path, ...],
    threshold: int | None,
    json_file: str | None,
) -> None:
    """Replace the keys of a role: the next root names the new ones, signed by the present root's keys (and by new root keys).

    --key must hold the root's key and those of snapshot and timestamp where the role's list is named in them; the role's own old
    key, too, if it is not lost: clients then notice nothing.

    \b
    Example: edgeship deploy keygen --out new-keys
             edgeship deploy rotate --channel site/channel --role timestamp --key keys --new-key new-keys
    """
    show_status(api.rotate_keys(channel, role, keys=keys, new_keys=new_keys, threshold=threshold), json_file)
