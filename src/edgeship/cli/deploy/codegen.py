"""`edgeship deploy codegen`: client code that tests itself."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.options import ARTIFACT
from edgeship.cli.options import split_names


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "languages",
    required=True,
    callback=split_names,
    metavar="LANGUAGES",
    help="Comma-separated: c,kotlin,python,swift,typescript.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where a folder per language is written.")
@ARTIFACT
def codegen(bundle: Path, languages: tuple[str, ...], out: Path, artifact: str | None) -> None:
    """Write client code for a .tflite of BUNDLE: preprocessing to the byte, labels, and a self-test with the bundle's goldens.

    The folders need no edgeship; each has a README with the steps into a project.

    \b
    Examples:
      edgeship deploy codegen bundle --for c --out client
      edgeship deploy codegen bundle --for kotlin,swift --artifact tflite/int8 --out client
    """
    from edgeship.untrusted import printable

    for folder in api.write_clients(bundle, out, languages=languages, artifact=artifact):
        click.echo(f"client: {printable(folder)}")
