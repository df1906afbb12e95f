"""`edgeship data`: what a person's data is like, before anything is learned from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output
from edgeship.errors import CheckError

SHOWN = 3  # examples of a finding
LISTED = 30  # findings


@click.group()
def data() -> None:
    """Look at your own data before anything is learned from it.

    \b
    Example: edgeship data check customers.csv --label bought
    """


@data.command(short_help="Show what data is like, and what in it would spoil a result.")
@click.argument("path")
@click.option("--query", help="The query of a database, sqlite:///FILE or postgresql://...: its rows are the table.")
@click.option("--label", metavar="COLUMN", help="The column of a table that is to be learned.")
@click.option(
    "--evaluation",
    type=click.Path(path_type=Path),
    metavar="PATH2",
    help="A second split: must hold other samples, of the same whole.",
)
@click.option(
    "--group", metavar="COLUMN", help="A column whose values (a person, a device) must not be in both splits."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the page.  [default: the name of PATH, -check]"
)
@options.JSON
def check(json_file: str | None, **settings: Any) -> None:
    """Look at PATH: a table (.csv, .parquet), a database, a folder of pictures with a folder for each class, or an .npz.

    Finds copies, columns that give the label away, labels that are probably wrong, rare classes, columns that are constant,
    equal or missing, samples and groups that are in both splits, and splits that are not alike. Writes a page, and
    data.toml beside a table: what each column is taken for, to be set right by hand.

    Exit code 1 where something would spoil a result.

    \b
    Example: edgeship data check train.csv --label bought --evaluation test.csv --group customer
    """  # fmt: skip
    from edgeship.untrusted import printable

    result = api.check_data(**settings)
    report = result.report
    output.write_json({"verdict": report.verdict, "page": result.page, "report": report}, json_file)
    if json_file != "-":
        click.echo(f"{report.verdict}: {printable(report.path)}, {report.samples:,} samples")
        for finding in report.findings[:LISTED]:
            click.echo(f"  {finding.severity}  {finding.check}: {finding.text}")
            for example in finding.examples[:SHOWN]:
                click.echo(f"          {example}")
        if len(report.findings) > LISTED:
            click.echo(f"  and {len(report.findings) - LISTED:,} more: see the page")
        for name, reason in report.skipped.items():
            click.echo(f"  not looked at  {name}: {reason}")
        click.echo(f"page: {printable(result.page)}")
        if result.schema_file:
            click.echo(f"columns: {printable(result.schema_file)} (set right what is taken for something else)")
    if spoiling := [finding.check for finding in report.findings if finding.severity == "spoils"]:
        raise CheckError(f"{printable(report.path)}: {', '.join(dict.fromkeys(spoiling))} would spoil a result")
