"""`edgeship stream`: rows are predicted, then learned; each interval ends in a version that the gate judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

PATH = click.Path(path_type=Path)


@click.command()
@click.option("--name", help="Whose champion (default: the only name in the registry).")
@click.option(
    "--store", metavar="URI", default="sqlite:///registry.db", show_default=True, help="Where the registry is."
)
@click.option(
    "--from",
    "source",
    required=True,
    metavar="SOURCE",
    help=".csv or .parquet, a folder or 'pattern' of them that grows, sqlite:///FILE, postgresql://..., redis://...",
)
@click.option("--state", required=True, type=PATH, help="A folder for what must not be forgotten; the same goes on.")
@click.option("--label", default="label", show_default=True, help="The column of labels.")
@click.option("--key", default="id", show_default=True, help="The column that tells rows apart.")
@click.option("--query", metavar="SQL", help="The rows of a database.")
@click.option("--watermark", metavar="COLUMN", help="Of a database: the column whose values only grow.")
@click.option("--interval", default="250", show_default=True, help="Rows that are learned at once, or a time, as 15m.")
@click.option("--replay", type=click.IntRange(min=0), help="Old samples beside an interval's rows (default: 8 a row).")
@click.option("--epochs", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=3e-4, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Samples of a step.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed gives the same models."
)
@click.option(
    "--head-only", is_flag=True, help="Only the last Dense layer learns: smaller deltas, and less is learned."
)
@click.option(
    "--data", type=PATH, multiple=True, help="A folder with the champion's data, which is found by its digest."
)
@click.option("--train", metavar="DATA", help="The champion's training data, where its lineage does not tell.")
@click.option("--config", type=PATH, help="An edgeship.toml in place of what the champion was made with.")
@click.option("--promote", type=click.Choice(["staging"]), help="Point staging to each accepted version.")
@click.option(
    "--channel",
    type=PATH,
    help="A channel's folder: each accepted version that is surely not worse than the champion is published there, with deltas.",
)
@click.option("--channel-name", metavar="NAME", help="What devices ask for, as garments/stable.")
@click.option("--signing-key", "keys", type=PATH, multiple=True, help="The keys of the channel (deploy keygen).")
@click.option("--once", is_flag=True, help="End where nothing new is there, for cron; else wait for more.")
@click.option("--poll", type=click.FloatRange(0.01), default=2.0, show_default=True, help="Seconds between two looks.")
@click.option(
    "--claim-after",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds after which what a dead consumer of Redis had taken is taken over.",
)
@JSON
def stream(json_file: str | None, **settings: Any) -> None:
    """Answer rows with the champion, then learn them: each interval ends in a new version that passes the gate or is refused.

    Every row is answered before it is learned, so that the share of right answers is that of unseen rows. Beside an interval's
    rows old training data is learned. Where answers get worse of a sudden (ADWIN) the interval ends early. What the gate refuses
    stays in the registry as refused, and the stream goes on from the last accepted version. Killed at any moment, the same
    command goes on at the next row. See docs/learning/stream.md.

    Exit code 0: done; 1: a snapshot of this run was refused; 2: bad input.

    \b
    Examples:
      edgeship stream --name garments --from 'rows/' --state stream --data runs/fashion-mnist --once
      edgeship stream --name garments --from redis://localhost:6379/0 --state stream --data runs/fashion-mnist
    """
    try:
        result = api.stream_rows(progress=True, **settings)
    except KeyboardInterrupt:
        click.echo("interrupted; what was learned stays, the same command goes on from there", err=True)
        raise SystemExit(130) from None
    if json_file != "-":
        _print_result(result)
    write_json(result, json_file)
    if result.refused:
        raise SystemExit(1)


def _print_result(result: api.StreamResult) -> None:
    from edgeship.untrusted import printable

    share, counts = result.share, result.counts
    click.echo(
        f"{result.name}: version {result.model} predicts; {result.new} intervals closed, {result.refused} refused"
    )
    if share.accuracy is not None and share.low is not None and share.high is not None:
        click.echo(
            f"answered before learned: {share.accuracy:.2%} of {share.rows:,} rows right "
            f"(95 % interval {share.low:.2%} to {share.high:.2%})"
        )
    for item in result.intervals[len(result.intervals) - result.new :]:
        right = f"{item.share.accuracy:.1%}" if item.share.accuracy is not None else ""
        ended = "ended early by drift, " if item.drift else ""
        deltas = "".join(f", delta {one.ratio:.1%} of {one.artifact}" for one in item.deltas)
        made = f"version {item.version} {item.verdict}"
        click.echo(f"- {item.number}: {item.share.rows:,} rows, {right} right, {ended}{made}{deltas}")
    if result.answered:
        click.echo(f"requests answered: {result.answered:,}")
    click.echo(f"waiting for the end of their interval: {result.waiting:,} rows")
    if counts.unlabelled or counts.repeated:
        click.echo(f"rows without a label: {counts.unlabelled:,}; there already: {counts.repeated:,}")
    if result.quarantine:
        click.echo(f"set aside: {counts.set_aside:,} rows, in {printable(result.quarantine)}")
    click.echo(f"page: {printable(result.page)}")
