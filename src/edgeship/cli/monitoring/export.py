"""`edgeship monitor export`: the inbox's reports for other software."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.monitoring.inbox_options import PATH, STORE
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@STORE
@click.option("--to", type=click.Choice(["parquet", "duckdb", "otlp-json"]), required=True, help="In which form.")
@click.option("--out", type=PATH, required=True, help="The file to write; of Parquet also a folder.")
@click.option("--window", metavar="WEEK", help="Of one week alone, as 2026-W48.")
@JSON
def export(store: str, to: str, out: Path, window: str | None, json_file: str | None) -> None:
    """Write the inbox's reports as Parquet or a database of DuckDB, a row each, or as metrics of OpenTelemetry, added up.

    Into a folder Parquet is written with a file for each week; what is there of other weeks stays. DuckDB has views, too, in
    which each count is a row: predictions, latencies, outcomes, histograms.

    OpenTelemetry has no key for duplicates: send each week once, when its window is closed (7 days after its end).

    \b
    Examples:
      edgeship monitor export --store inbox --to parquet --out reports.parquet
      edgeship monitor export --store inbox --to parquet --window 2026-W46 --out reports
      edgeship monitor export --store inbox --to duckdb --out reports.duckdb
      edgeship monitor export --store inbox --to otlp-json --window 2026-W46 --out metrics.jsonl
    """
    count = api.export_reports(out, store=store, to=to, window=window)
    if json_file != "-":
        from edgeship.untrusted import printable

        click.echo(f"{printable(out)}: {count:,} report{'s'[: count != 1]}")
    write_json({"file": out, "reports": count}, json_file)
