"""`edgeship lock BUNDLE`: what its artifacts were made of."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The file (default: edgeship.lock beside the bundle).")
@JSON
def lock(bundle: Path, out: Path | None, json_file: str | None) -> None:
    """Write the digests of all that BUNDLE's artifacts were made of, of their files, and the versions of the tools.

    Server model, configuration and data are named by where they lie, seen from the lock, and known by their digests.

    \b
    Example: edgeship lock bundle
    """
    from edgeship.untrusted import printable

    place = api.lock_bundle(bundle, out)
    if json_file != "-":
        click.echo(f"lock: {printable(place)}")
    write_json({"bundle": bundle, "lock": place}, json_file)
