"""`edgeship report BUNDLE`: the HTML report again."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship.cli import options


@click.command(short_help="Write the HTML report of a bundle again.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file (default: BUNDLE-report.html).")
@click.option(
    "--add",
    "added",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A self-test that the demo page wrote on some device: its figures join the report. May be repeated.",
)
def report(bundle: Path, out: Path | None, added: tuple[Path, ...]) -> None:
    """Write the report of BUNDLE as one self-contained HTML file.

    The bundle itself is left as it is: its manifest holds the digest of every file in it.

    \b
    Examples:
      edgeship report bundle --out report.html
      edgeship report bundle --add edgeship-selftest-weight_only_w8-wasm.json
    """
    from edgeship.benchmarks.gate.gate import judge_again
    from edgeship.benchmarks.report.html_report import render
    from edgeship.bundle.bundle import MANIFEST, Bundle, open_bundle
    from edgeship.demo.selftest import with_field_results
    from edgeship.errors import InputError
    from edgeship.untrusted import printable, reading

    opened = open_bundle(bundle)
    target = out or opened.root.absolute().with_name(f"{opened.root.absolute().name}-report.html")
    if (
        out is None and target.exists() and not target.is_file()
    ):  # whoever made the bundle's folder can have put it there
        raise InputError(f"{printable(target)}: is no file that a report can replace; choose another place with --out")
    with reading(opened.root / MANIFEST):  # its figures may be none
        manifest = with_field_results(Bundle(opened.root, judge_again(opened.manifest)), list(added))
        rendered = render(opened.root, manifest)
    options.write_text(target, rendered)
    click.echo(f"report: {printable(target)}")
