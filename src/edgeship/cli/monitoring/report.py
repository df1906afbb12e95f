"""`edgeship monitor report`: a field on one page."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.monitoring.inbox_options import PATH, STORE
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@STORE
@click.option(
    "--bundle", "bundles", type=PATH, multiple=True, help="Names its version, and tells the lab's latency; again."
)
@click.option("--channel", type=PATH, help="Names the versions in a channel's folder.")
@click.option("--registry", metavar="URI", help="Names the versions of a registry, as sqlite:///registry.db.")
@click.option("--name", metavar="NAME", help="Of the versions of one name in them alone, as garments.")
@click.option("--page", type=PATH, help="A page to write: .html, with pictures, or .md.")
@JSON
def report(
    store: str, bundles: tuple[Path, ...], channel: Path | None, registry: str | None, name: str | None,
    page: Path | None, json_file: str | None,
) -> None:  # fmt: skip
    """Show what the newest 13 weeks of reports tell: versions and how many use them, estimated accuracy, latency, errors.

    \b
    Examples:
      edgeship monitor report --store inbox --registry sqlite:///registry.db --page field.html
      edgeship monitor report --store inbox --registry sqlite:///registry.db --name garments
    """
    result = api.report_field(store, name=name, bundles=bundles, channel=channel, registry=registry, page=page)
    if json_file != "-":
        from edgeship.cli.monitoring.sections import print_sections
        from edgeship.untrusted import printable

        click.echo(f"reports of {result.windows[0]} to {result.windows[-1]}")
        print_sections(api.describe_field(result))
        if page:
            click.echo(f"page: {printable(page)}")
    write_json(result, json_file)
