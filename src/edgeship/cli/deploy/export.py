"""`edgeship deploy export`: a model in the layout of a store."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.options import ARTIFACT


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--to", "layout", type=click.Choice(["ai-pack"]), required=True, help="Which layout.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The folder to write; its name is the pack's."
)
@ARTIFACT
def export(bundle: Path, layout: str, out: Path, artifact: str | None) -> None:
    """Write a .tflite of BUNDLE as an AI pack of Google Play: a module of an Android project, with contract and labels.

    The layout follows Google's documentation; it was not tried on a store.

    \b
    Example: edgeship deploy export bundle --to ai-pack --out android/model_pack
    """
    from edgeship.untrusted import printable

    click.echo(f"{layout}: {printable(api.export_ai_pack(bundle, out, artifact=artifact))}")
