"""`edgeship verify BUNDLE`: digests and goldens."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@options.JSON
def verify(bundle: Path, json_file: str | None) -> None:
    """Check that no file of BUNDLE was changed, and replay its goldens through every runtime that is present.

    Its raw goldens (pixels, PCM, rows) must become their tensors to the byte, as the contract says.

    Exit code 0 when all match, 1 when an answer does not match or an artifact could not be replayed, 2 for a changed bundle.

    \b
    Example: edgeship verify bundle
    """
    from edgeship.untrusted import printable, shorten_text

    verification = api.verify_bundle(bundle)
    if json_file != "-":
        print_replays(verification)
    content = {"bundle": bundle, "replays": verification.replays, "contract": verification.contract}
    output.write_json(content, json_file)
    if not verification.passed:
        click.echo(shorten_text(printable(verification.failure)), err=True)
        raise SystemExit(1)


def print_replays(verification: api.Verification) -> None:
    """A table on standard output."""
    from rich.text import Text

    from edgeship.terminal import Column, make_console, make_table
    from edgeship.untrusted import printable_value

    out = make_console()
    columns = [Column("artifact", folds=True), Column("runtime", folds=True), Column("goldens")]
    columns += [Column("error / tolerance", right=True), Column("why", folds=True)]
    body: list[list[str | Text]] = []
    for item in verification.replays:
        words = ("match", "green") if item.passed else ("optional", "yellow") if item.optional else ("FAIL", "red")
        share = "-" if item.worst is None else f"{item.worst:.2g}"
        names = printable_value([item.artifact, item.runtime or "-"])
        body.append([*names, Text(words[0], style=words[1]), share, printable_value(item.reason)])
    legend = "error / tolerance: the largest error of an output, as a share of what it may be off; 1 or less is a match"
    out.print(make_table(columns, body, out.width), Text(legend, style="dim"), sep="\n")
    for line in describe_contract(verification):
        out.print(Text(line), soft_wrap=True)


def describe_contract(verification: api.Verification) -> list[str]:
    """What was found of the contract, in lines."""
    from edgeship.untrusted import printable

    check = verification.contract
    if check is None or not check.contract:
        return ["contract: none, as in bundles of earlier versions and of files that others made"]
    if check.problems:
        return [f"contract: {printable(problem)}" for problem in check.problems]
    if not check.cases:
        return ["contract: matches; there are no raw goldens, and contract.json says why"]
    return [f"contract: {check.cases} raw goldens give their tensors to the byte"]
