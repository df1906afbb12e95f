"""`edgeship deploy publish`: a bundle becomes a version that devices fetch."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.channel.options import CHANNEL, JSON, KEYS, NAME, PERCENT, show_change


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@CHANNEL
@NAME
@KEYS
@click.option("--version", type=click.IntRange(min=1), help="The version's number (default: the next one).")
@click.option("--percent", type=PERCENT, default=100.0, show_default=True, help="How many devices get it.")
@click.option(
    "--keep", type=click.IntRange(min=1), default=5, show_default=True, help="Versions that stay, beside those in use."
)
@click.option(
    "--threshold", type=click.IntRange(min=1), default=1, show_default=True, help="Keys that must sign a new channel."
)
@click.option(
    "--signed-by",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="KEY.pub",
    help="Only a bundle that this key has signed (deploy sign).",
)
@click.option("--force", is_flag=True, help="Publish a bundle that did not pass, with all its artifacts.")
@click.option(
    "--learning/--no-learning",
    default=True,
    show_default=True,
    help="Whether what devices learn with goes along (ship --head-step); some of it is derived from training data.",
)
@JSON
def publish(
    bundle: Path,
    channel: Path,
    name: str,
    keys: tuple[Path, ...],
    version: int | None,
    percent: float,
    keep: int,
    threshold: int,
    signed_by: tuple[Path, ...],
    force: bool,
    learning: bool,
    json_file: str | None,
) -> None:
    """Publish BUNDLE as the next version of a channel: artifacts that passed, contract, goldens, and patches from older versions.

    The folder is one for any web server or CDN, begun where there is none. Clients see the new version whole or not at all. Needs
    the keys of targets, snapshot and timestamp, and of root for a new folder. Exit code 1: the bundle did not pass its gate.

    \b
    Examples:
      edgeship deploy publish bundle --channel site/channel --name garments/stable --key keys
      edgeship deploy publish bundle --channel site/channel --name garments/stable --key keys --percent 5
    """
    change = api.publish_bundle(
        bundle,
        channel,
        name=name,
        keys=keys,
        version=version,
        percent=percent,
        keep=keep,
        threshold=threshold,
        signed_by=signed_by,
        force=force,
        learning=learning,
    )
    show_change(change, json_file)
