"""`edgeship select`: which samples to label."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON, SOURCES
from edgeship.cli.output import write_json

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("samples", type=PATH)
@click.option("--count", type=click.IntRange(min=1), required=True, help="How many samples to label and to train on.")
@click.option("--out", type=PATH, required=True, help="The CSV of these, with an empty column label.")
@click.option(
    "--audit", type=click.IntRange(min=1), default=None, help="How many random samples to label and never train on."
)
@click.option("--audit-out", type=PATH, help="The CSV of those.")
@click.option("--bundle", type=PATH, help="Scores samples that no client did; its evaluation data is left out.")
@click.option("--evaluation", metavar="DATA", help=f"Where that lies, if not where the bundle says: {SOURCES}.")
@click.option(
    "--labelled", type=PATH, multiple=True, help="A CSV of samples that are left out; again for further ones."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed draws the same.")
@JSON
def select(
    samples: Path, count: int, out: Path, audit: int | None, audit_out: Path | None, bundle: Path | None,
    evaluation: str | None, labelled: tuple[Path, ...], seed: int, json_file: str | None,
) -> None:  # fmt: skip
    """Draw the samples of SAMPLES that are worth a label: half those that the model is least sure of, half at random.

    SAMPLES: a folder with samples.csv and NAME.npz, as the collector keeps it, or an .npz of inputs, which --bundle scores. An
    audit is drawn first, at random, of each user at most one: nothing else tells how good a model is.

    \b
    Examples:
      edgeship select inbox/samples --count 500 --out pool.csv --audit 800 --audit-out audit.csv
      edgeship select field.npz --bundle bundle --count 500 --out pool.csv
    """
    drawn = api.select_samples(
        samples, out, count=count, audit=audit or 0, audit_out=audit_out, bundle=bundle, evaluation=evaluation,
        labelled=labelled, seed=seed,
    )  # fmt: skip
    if json_file != "-":
        from edgeship.untrusted import printable

        left = drawn.labelled + (drawn.evaluation or 0) + drawn.repeated
        click.echo(
            f"{printable(out)}: {drawn.hard:,} by margin and {drawn.random:,} at random, of {drawn.candidates:,} samples"
        )
        if audit_out:
            users = "" if drawn.users is None else f", of as many users ({drawn.users:,} there are)"
            click.echo(f"{printable(audit_out)}: {drawn.audit:,} at random, never to be trained on{users}")
        if left:
            click.echo(
                f"left out: {drawn.labelled:,} labelled before, {drawn.evaluation or 0:,} of the evaluation data, "
                f"{drawn.repeated:,} that are the same as another"
            )
        if drawn.evaluation is None:
            click.echo(
                "samples of the evaluation data may be among them: --bundle with --evaluation leaves them out", err=True
            )
    write_json(drawn, json_file)
