"""`edgeship bom BUNDLE`: the bill of materials."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", metavar="FILE", default="-", help="Where it is written; - (the default) is standard output.")
def bom(bundle: Path, out: str) -> None:
    """Write the bill of materials of BUNDLE as a CycloneDX 1.7 ML-BOM in JSON.

    It names the server model and every artifact with digests, tensors, figures with their intervals, and limitations; the data
    and the tools. Licences are those that [data] license of edgeship.toml states; none is guessed. The same bundle gives the
    same bytes.

    \b
    Examples:
      edgeship bom bundle --out bom.json
      edgeship bom bundle | python -m json.tool
    """
    from edgeship.untrusted import printable

    if out == "-":
        click.echo(api.render_bom(bundle), nl=False)
    else:
        click.echo(f"bill of materials: {printable(api.write_bom(bundle, out))}")
