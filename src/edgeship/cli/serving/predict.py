"""`edgeship predict`: batches into a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    required=True,
    metavar="SOURCE",
    help=".csv or .parquet, a folder or 'pattern' of them, a folder of pictures, sqlite:///FILE, postgresql://...",
)
@click.option(
    "--to",
    "sink",
    required=True,
    metavar="SINK",
    help="sqlite:///FILE, postgresql://..., a .parquet file, or a folder for Parquet.",
)
@click.option("--table", default="predictions", show_default=True, help="The table; its ledger's names begin with it.")
@click.option(
    "--artifact",
    metavar="ID",
    help="What predicts, as tflite/int8 (default: a recommended one; the first, if never judged).",
)
@click.option("--key", default="id", show_default=True, help="The column that tells rows apart.")
@click.option("--query", metavar="SQL", help="The rows of a database.")
@click.option("--version", help="What rows are kept under (default: the bundle's digest and the artifact).")
@click.option("--batch", type=click.IntRange(min=1), help="Rows of a transaction (default: 8192, or what 32 MB hold).")
@click.option("--since", metavar="COLUMN", help="Read only rows from the greatest value of earlier runs on.")
@click.option(
    "--current",
    default="run",
    show_default=True,
    metavar="WHOSE",
    help="Whose rows the view TABLE_current shows in the end: of this run, keep (as before), champion or another version of the "
    "registry.",
)
@click.option("--name", help="The model in the registry (default: the only one there).")
@click.option("--store", default="sqlite:///registry.db", show_default=True, help="The registry.")
@click.option(
    "--engine", default="local", show_default=True, help="Where rows are scored: local, or ray (RAY_ADDRESS)."
)
@JSON
def predict(bundle: Path, source: str, sink: str, json_file: str | None, **options: Any) -> None:  # fmt: skip
    """Predict every row of a source with an artifact of BUNDLE, and write the predictions to a table.

    Each row is there once, whatever interrupts the run: the same command goes on where it was, and does nothing when all is
    done. See docs/serving/batch.md.

    \b
    Examples:
      edgeship predict bundle --from 'rows/*.parquet' --to sqlite:///scores.db
      edgeship predict bundle --from postgresql://me@db/shop --query "select * from visits" --key visit \\
        --to postgresql://me@db/shop --table visit_scores --since seen_at
    """
    from edgeship.untrusted import printable

    try:
        run = api.predict_batch(bundle, source, sink, progress=True, **options)
    except KeyboardInterrupt:
        click.echo("interrupted; what is written stays, the same command goes on from there", err=True)
        raise SystemExit(130) from None
    if json_file != "-":
        there = f", {run.rows - run.written:,} were there" if run.written < run.rows else ""
        pace = f"{run.seconds:.1f} s ({run.rows_per_second:,.0f} rows/s)"
        click.echo(f"{run.written:,} of {run.rows:,} rows written in {pace}{there}")
        click.echo(f"table {run.table} in {printable(run.sink)}, model_version {printable(run.model_version)}")
        counts = f"in {printable(run.counts)}" if run.counts else f"none: {printable(run.no_counts)}"
        click.echo(f"drift counters: {counts}")
        if run.shown:
            click.echo(f"{run.table}_current shows {printable(run.shown)}")
        elif options["current"] not in ("run", "keep"):
            whose = f"{printable(options['current'])} has no rows of {run.artifact} there"
            click.echo(f"{run.table}_current is as it was: {whose}; predict with its bundle", err=True)
    write_json(run, json_file)
