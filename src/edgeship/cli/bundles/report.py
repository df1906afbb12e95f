"""`edgeship report BUNDLE`: the HTML report again."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file (default: BUNDLE-report.html).")
@click.option(
    "--add",
    "self_tests",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A self-test that a client or the demo page wrote on some device: its figures join the report. May be repeated.",
)
def report(bundle: Path, out: Path | None, self_tests: tuple[Path, ...]) -> None:
    """Write the report of BUNDLE as one self-contained HTML file.

    The bundle itself is left as it is: its manifest holds the digest of every file in it.

    \b
    Examples:
      edgeship report bundle --out report.html
      edgeship report bundle --add edgeship-selftest-weight_only_w8-wasm.json
    """
    from edgeship.untrusted import printable

    click.echo(f"report: {printable(api.report_bundle(bundle, out, self_tests=self_tests))}")
