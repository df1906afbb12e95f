"""`edgeship monitor drift`: whether a week's reports have moved, and whether that costs accuracy."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.monitoring.inbox_options import PATH, STORE
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

FAILING = {"alarm": ("ALARM",), "notice": ("ALARM", "NOTICE"), "inconclusive": ("ALARM", "NOTICE", "INCONCLUSIVE")}


@click.command()
@STORE
@click.option("--bundle", type=PATH, help="Whose reports (default: the bundle with the most in that week).")
@click.option("--window", metavar="WEEK", help="Which week, as 2026-W48 (default: the newest that is closed).")
@click.option(
    "--tolerance",
    type=float,
    default=1.0,
    show_default=True,
    help="Points of accuracy that may be lost without an alarm.",
)
@click.option(
    "--fail-on",
    type=click.Choice([*FAILING]),
    default="alarm",
    show_default=True,
    help="From which verdict on to exit with 1.",
)
@click.option("--page", type=PATH, help="A page to write: .html, with pictures, or .md.")
@JSON
def drift(
    store: str, bundle: Path | None, window: str | None, tolerance: float, fail_on: str, page: Path | None, json_file: str | None
) -> None:  # fmt: skip
    """Compare a week of reports with the field's own first four: what moved, and whether it costs accuracy.

    NOTICE: something moved. ALARM: the accuracy that the counts let expect, or the share of accepted outcomes, surely fell by
    more than the tolerance. Exit code 0, or 1 for an ALARM (--fail-on), 2 for bad input. A week is closed 7 days after its end.

    \b
    Examples:
      edgeship monitor drift --store inbox
      edgeship monitor drift --store inbox --bundle bundle --window 2026-W48 --page drift.html --fail-on notice
    """
    result = api.judge_drift(store, bundle=bundle, window=window, tolerance=tolerance, page=page)
    if json_file != "-":
        _print_drift(result, page)
    write_json(result, json_file)
    if result.verdict in FAILING[fail_on]:
        raise SystemExit(1)


def _print_drift(result: api.DriftResult, page: Path | None) -> None:
    from edgeship.cli.monitoring.sections import print_sections
    from edgeship.terminal import make_console, wrap_text
    from edgeship.untrusted import printable

    out = make_console()
    click.echo(f"drift in {result.window}: {result.verdict}")
    for line in (*result.reasons, *result.notes):
        click.echo(wrap_text(f"- {printable(line)}", out.width, 2))
    print_sections(api.describe_drift(result))
    if page:
        click.echo(f"page: {printable(page)}")
