"""`edgeship monitor drift`: whether a week's reports have moved, and whether that costs accuracy."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.monitoring.inbox_options import PATH, STORE, version_options
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

FAILING = {"alarm": ("ALARM",), "notice": ("ALARM", "NOTICE"), "inconclusive": ("ALARM", "NOTICE", "INCONCLUSIVE")}


@click.command()
@STORE
@click.option("--bundle", type=PATH, help="Whose reports (default: the bundle with the most in that week).")
@version_options
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
    help="From which verdict on to exit with 1; an early warning counts as a notice.",
)
@click.option("--page", type=PATH, help="A page to write: .html, with pictures, or .md.")
@JSON
def drift(
    store: str, bundle: Path | None, name: str | None, channel: Path | None, registry: str | None, window: str | None,
    tolerance: float, fail_on: str, page: Path | None, json_file: str | None,
) -> None:  # fmt: skip
    """Compare a week of reports with the field's own first four: what moved, and whether it costs accuracy.

    NOTICE: something moved. ALARM: the accuracy that the counts let expect, or the share of accepted outcomes, surely fell by
    more than the tolerance. Exit code 0, or 1 for an ALARM (--fail-on), 2 for bad input. A week is closed 7 days after its end;
    of what arrived since, an early warning tells. With --channel or --registry each version of a name is judged, and the worst
    verdict counts.

    \b
    Examples:
      edgeship monitor drift --store inbox
      edgeship monitor drift --store inbox --registry sqlite:///registry.db --name garments
      edgeship monitor drift --store inbox --bundle bundle --window 2026-W48 --page drift.html --fail-on notice
    """
    by_version = bool(name or channel or registry)
    if bundle and by_version:
        raise click.UsageError("--bundle is one version; leave out --name, --channel and --registry")
    result: api.DriftResult | api.NamedDrift
    if by_version:
        result = api.judge_drift_by_version(
            store, name=name, channel=channel, registry=registry, window=window, tolerance=tolerance, page=page
        )
    else:
        result = api.judge_drift(store, bundle=bundle, window=window, tolerance=tolerance, page=page)
    if json_file != "-":
        _print_result(result, page)
    write_json(result, json_file)
    if _fails(result, fail_on):
        raise SystemExit(1)


def _list_versions(result: api.DriftResult | api.NamedDrift) -> tuple[api.DriftResult, ...]:
    return result.versions if isinstance(result, api.NamedDrift) else (result,)


def _fails(result: api.DriftResult | api.NamedDrift, fail_on: str) -> bool:
    """Whether the verdict is among those that fail, or there is an early warning; for `inconclusive` also if nobody looked."""
    if result.verdict in FAILING[fail_on]:
        return True
    found = [item.early for item in _list_versions(result) if item.early]
    warned = any(early.warning for early in found)
    return (fail_on != "alarm" and warned) or (fail_on == "inconclusive" and any(early.missing for early in found))


def _print_result(result: api.DriftResult | api.NamedDrift, page: Path | None) -> None:
    from edgeship.untrusted import printable

    if isinstance(result, api.NamedDrift):
        click.echo(f"drift of {printable(result.name)} in {result.window}: {result.verdict}")
    for item in _list_versions(result):
        _print_version(item)
    if isinstance(result, api.NamedDrift) and result.silent:
        click.echo(f"no report of that week: {printable('; '.join(result.silent))}")
    if page:
        click.echo(f"page: {printable(page)}")


def _print_version(result: api.DriftResult) -> None:
    from edgeship.cli.monitoring.sections import print_sections
    from edgeship.terminal import make_console, wrap_text
    from edgeship.untrusted import printable

    out = make_console()
    of = f" of {printable(result.version)}" if result.version else ""
    click.echo(f"drift{of} in {result.window}: {result.verdict}")
    if result.early and result.early.warning:
        click.echo(wrap_text(f"early warning, preliminary: {result.early.warning}", out.width, 2))
    for line in (*result.reasons, *result.notes):
        click.echo(wrap_text(f"- {printable(line)}", out.width, 2))
    print_sections(api.describe_drift(result))
