"""`edgeship verify BUNDLE`: digests and goldens."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship.cli import options


@click.command(short_help="Check a bundle's digests and replay its goldens.")
@click.argument("bundle", type=click.Path(path_type=Path))
@options.JSON
def verify(bundle: Path, json_file: str | None) -> None:
    """Check that no file of BUNDLE was changed, and replay its goldens through every runtime that is present.

    Exit code 0 when all match, 1 when an answer does not match or an artifact could not be replayed, 2 for a changed bundle.

    \b
    Example: edgeship verify bundle
    """
    from edgeship.bundle.bundle import open_bundle
    from edgeship.pipeline.verify import print_replays, replay, verdict
    from edgeship.untrusted import printable, shorten

    replays = replay(open_bundle(bundle))
    if json_file != "-":
        print_replays(replays)
    options.emit({"bundle": bundle, "replays": replays}, json_file)
    if reason := verdict(replays):
        click.echo(shorten(printable(reason)), err=True)
        raise SystemExit(1)
