"""`edgeship monitor ingest`: reports from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeship import api
from edgeship.cli.monitoring.inbox_options import PATH, STORE, bundle_options
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

if TYPE_CHECKING:
    from edgeship.api import Ingested


@click.command()
@click.argument("files", nargs=-1, type=PATH, required=True, metavar="FILE_OR_FOLDER...")
@STORE
@bundle_options
@click.option("--received", metavar="WHEN", help="When they arrived, as 2026-11-29 (default: now); UTC.")
@JSON
def ingest(files: tuple[Path, ...], json_file: str | None, **options: Any) -> None:
    """Bring reports from files into the inbox: a report a line (.jsonl, .ndjson) or a file (.json), packed by gzip or not.

    Each report counts once, however often it is brought; two of the same key that differ are put aside. What is refused is
    counted by reason. Exit code 2 where a file is damaged: the others are in, and so is what stands before the damage.

    \b
    Examples:
      edgeship monitor ingest reports/ --store inbox --bundle bundle
      edgeship monitor ingest dump.jsonl.gz --store sqlite:///inbox.db --channel site/channel --received 2026-11-23
    """
    result = api.ingest_reports(files, **options)
    if json_file != "-":
        _show(result)
    write_json(result, json_file)
    if result.damaged:
        raise api.InputError("\n".join(result.damaged[:2]))


def _show(result: Ingested) -> None:
    conflicts = f", {result.conflicts:,} in conflict with another (put aside)" if result.conflicts else ""
    late = f" ({result.late:,} late)" if result.late else ""
    click.echo(
        f"{result.reports:,} report{'s'[: result.reports != 1]} in {result.files:,} file{'s'[: result.files != 1]}: "
        f"{result.new:,} new{late}, {result.duplicates:,} there already{conflicts}"
    )
    for reason, count in result.refused.items():
        click.echo(f"refused, {reason}: {count:,}, as {result.examples[reason]}")
