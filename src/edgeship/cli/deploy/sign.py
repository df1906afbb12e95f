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
@click.option(
    "--format",
    "form",
    type=click.Choice(["dsse", "openssf"]),
    default="dsse",
    show_default=True,
    help="openssf: a file of OpenSSF model-signing, BUNDLE.sig beside BUNDLE, by a key of --type ecdsa.",
)
@JSON
def sign(bundle: Path, keys: Path, form: str, json_file: str | None) -> None:
    """Sign every file of BUNDLE, of the manifest, too, into its signature.json (DSSE over an in-toto statement).

    `edgeship verify BUNDLE --key KEYS/bundle.pub` checks it. Whatever writes the bundle again (benchmark, debug, ship) leaves the
    signature out, and says so: sign last. Signing once more with another key adds its signature.

    With --format openssf, other tools that know OpenSSF's format check it, too: `edgeship verify BUNDLE --key KEYS/bundle.pub
    --signature BUNDLE.sig`, or `model_signing verify key`. It covers signature.json: sign with it last.

    \b
    Examples:
      edgeship deploy sign bundle --key keys
      edgeship deploy sign bundle --key keys --format openssf
    """
    from edgeship.untrusted import printable

    check = api.sign_bundle(bundle, keys, form=form)
    if json_file != "-":
        others = len(check.claimed) - len(check.verified)
        more = f" (beside {others} other signature{'s' if others > 1 else ''})" if others else ""
        place = f", in {printable(check.file)}" if check.file else ""
        click.echo(f"signed: {printable(bundle)} by key {check.verified[0][:16]}{more}{place}")
    content = {"bundle": bundle, "signed_by": check.verified[0], "signatures": check.claimed, "file": check.file}
    write_json(content, json_file)
