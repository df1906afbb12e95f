"""`edgeship monitor audit`: how right a model is now, by labels of a random sample."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.monitoring.inbox_options import PATH
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.group()
def audit() -> None:
    """Label a random sample of real inputs by hand, and compare the model with the labels.

    Nothing else tells that the same inputs have other right answers now. Samples are a CSV of what users agreed to send, with
    the class that the model said in `predicted`; perhaps `user`, and in `server` what the server model says.

    \b
    Example:
      edgeship monitor audit draw samples.csv --count 400 --out audit.csv    (fill in the column `label`)
      edgeship monitor audit judge audit.csv --bundle bundle
    """


@audit.command(short_help="Draw the rows to label.")
@click.argument("samples", type=PATH)
@click.option("--count", type=click.IntRange(min=1), default=400, show_default=True, help="How many rows to draw.")
@click.option("--out", type=PATH, required=True, help="The CSV to write, with an empty column `label`.")
@click.option("--seed", type=click.IntRange(min=0), help="For the same draw again (default: a new one).")
@click.option("--bundle", type=PATH, help="Only samples of this bundle.")
@click.option("--artifact", help="Only samples of this artifact, as tflite/int8.")
@click.option("--window", metavar="WEEK", help="Only samples of this week, as 2026-W48.")
@JSON
def draw(
    samples: Path, count: int, out: Path, seed: int | None, bundle: Path | None, artifact: str | None, window: str | None,
    json_file: str | None,
) -> None:  # fmt: skip
    """Draw rows of SAMPLES at random, of each user at most one.

    SAMPLES is a CSV, or what `monitor collect --samples` took: the inbox, or its folder of samples. Samples that were picked
    because the model was unsure are left out.

    \b
    Examples:
      edgeship monitor audit draw samples.csv --count 400 --out audit.csv
      edgeship monitor audit draw inbox --bundle bundle --artifact tflite/int8 --out audit.csv
    """
    drawn = api.draw_audit(samples, out, count=count, seed=seed, bundle=bundle, artifact=artifact, window=window)
    if json_file != "-":
        from edgeship.untrusted import printable

        users = "" if drawn.users is None else f" of {drawn.users:,} users"
        click.echo(f"{printable(out)}: {drawn.drawn:,} of {drawn.rows:,} rows{users}; fill in the column label")
    write_json(drawn, json_file)


@audit.command(short_help="Compare the model with the labels.")
@click.argument("labelled", type=PATH)
@click.option("--bundle", type=PATH, help="Compare with its accuracy on the evaluation data, too.")
@click.option(
    "--artifact", default="tflite/int8", show_default=True, help="Which of the bundle's artifacts was audited."
)
@click.option("--tolerance", type=float, default=1.0, show_default=True, help="Points that may be lost.")
@JSON
def judge(labelled: Path, bundle: Path | None, artifact: str, tolerance: float, json_file: str | None) -> None:
    """Say how right the model is by the labels of an audit, and whether it is worse than before or than the server model.

    By the statistics of the gate: exit code 0 for PASS, 1 for FAIL and INCONCLUSIVE, 2 for bad input.

    \b
    Example: edgeship monitor audit judge audit.csv --bundle bundle --tolerance 3
    """
    result = api.judge_audit(labelled, bundle=bundle, artifact=artifact, tolerance=tolerance)
    if json_file != "-":
        _print_audit(result)
    write_json(result, json_file)
    if result.verdict != "PASS":
        raise SystemExit(1)


def _print_audit(result: api.AuditResult) -> None:
    from edgeship.terminal import make_console, wrap_text

    out = make_console()
    click.echo(f"audit: {result.verdict}")
    missing = f"; {result.unlabelled:,} rows have no label yet" if result.unlabelled else ""
    interval = f"(95 % interval {100 * result.low:.2f} to {100 * result.high:.2f})"
    click.echo(f"accuracy {result.accuracy:.2%} {interval} of {result.labelled:,} labels{missing}")
    for drop in result.drops:
        text = (
            f"- {drop.against} {drop.reference:.2%}: drop {100 * drop.drop:.2f} points (95 % interval {100 * drop.low:.2f} to "
            f"{100 * drop.high:.2f}, {drop.method}), margin {100 * drop.margin:g}: {drop.verdict}"
        )
        more = "" if drop.samples is None else f"; about {drop.samples:,} labels would decide"
        click.echo(wrap_text(text + more, out.width, 2))
    if not result.drops:
        click.echo("nothing to compare with: name the --bundle, or add a column server")
