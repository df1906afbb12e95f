"""`edgeship deploy sign BUNDLE`: a signature of all its files."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path),
    required=True,
    metavar="KEYS",
    help="A folder of `edgeship deploy keygen`, or the .pem (or .uri) of one private key.",
)
@JSON
def sign(bundle: Path, keys: Path, json_file: str | None) -> None:
    """Sign every file of BUNDLE, of the manifest, too, into its signature.json (DSSE over an in-toto statement).

    `edgeship verify BUNDLE --key KEYS/bundle.pub` checks it. Whatever writes the bundle again (benchmark, debug, ship) leaves the
    signature out, and says so: sign last. Signing once more with another key adds its signature.

    \b
    Example: edgeship deploy sign bundle --key keys
    """
    from edgeship.untrusted import printable

    check = api.sign_bundle(bundle, keys)
    if json_file != "-":
        others = len(check.claimed) - len(check.verified)
        more = f" (beside {others} other signature{'s' if others > 1 else ''})" if others else ""
        click.echo(f"signed: {printable(bundle)} by key {check.verified[0][:16]}{more}")
    write_json({"bundle": bundle, "signed_by": check.verified[0], "signatures": check.claimed}, json_file)
