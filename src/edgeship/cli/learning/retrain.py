"""`edgeship retrain`: a challenger of the champion, trained on new labels and judged on old and new data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

PATH = click.Path(path_type=Path)
SAMPLES_HELP = "Where the labels' inputs are: a folder with samples.csv and NAME.npz, or an .npz (names are numbers)."


@click.command()
@click.option("--name", help="Whose champion (default: the only name in the registry).")
@click.option(
    "--store", metavar="URI", default="sqlite:///registry.db", show_default=True, help="Where the registry is."
)
@click.option("--labels", type=PATH, help="CSV with the columns sample and label: what is learned.")
@click.option("--samples", type=PATH, help=SAMPLES_HELP)
@click.option(
    "--audit",
    type=PATH,
    help="CSV with the columns sample and label of random samples: what judges, and is never learned.",
)
@click.option("--audit-samples", type=PATH, help="Where the audit's inputs are (default: --samples).")
@click.option("--drift", type=PATH, multiple=True, help="A result of `monitor drift --json`; again for further weeks.")
@click.option("--inbox", metavar="STORE", help="The inbox of `monitor`, to judge its two newest closed weeks.")
@click.option(
    "--data", type=PATH, multiple=True, help="A folder with the champion's data, which is found by its digest."
)
@click.option("--train", metavar="DATA", help="The champion's training data, where its lineage does not tell.")
@click.option("--config", type=PATH, help="An edgeship.toml in place of what the champion was made with.")
@click.option(
    "--recipe",
    default="fine-tune",
    show_default=True,
    help="fine-tune, or a command with {model}, {train}, {out}, {seed}.",
)
@click.option(
    "--replay",
    type=click.IntRange(min=0),
    help="Old samples beside the labels (default: 16 times as many, at least 8,000).",
)
@click.option("--epochs", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=5e-4, show_default=True)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed gives the same model."
)
@click.option(
    "--tolerance", type=float, default=1.0, show_default=True, help="Points of accuracy that may be lost unnoticed."
)
@click.option("--force", is_flag=True, help="Train, whatever drift, audit and calendar say.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and why.")
@click.option("--promote", type=click.Choice(["staging"]), help="Point staging to a challenger that is better.")
@click.option("--out", type=PATH, help="Where challengers are made (default: runs/NAME-retraining).")
@click.option("--page", type=PATH, help="A page to write: .html or .md.")
@click.option("--now", metavar="TIME", help="When it is, as 2026-11-29 (default: now).")
@JSON
def retrain(json_file: str | None, page: Path | None, **settings: Any) -> None:
    """Train the champion again, where it is time to, and say whether what comes of it is better.

    It is time after an ALARM in two closed weeks, when outcomes or the audit surely fell, 30 days after the last evaluated
    challenger, or by --force. The challenger must not be worse than the champion on the old evaluation data, and surely better on
    the audit. It is registered whatever comes of that, with why; the champion stays the champion.

    Exit code 0: nothing to do, or a better challenger; 1: a refused one; 2: bad input. Called again with the same labels it goes
    on where it was stopped, or says what was found.

    \b
    Example:
      edgeship retrain --name garments --inbox inbox --labels pool.csv --audit audit.csv --samples field --data runs/fashion-mnist
    """
    result = api.retrain_champion(page=page, progress=True, **settings)
    if json_file != "-":
        _print_result(result, page)
    write_json(result, json_file)
    if result.outcome == "refused":
        raise SystemExit(1)


def _print_result(result: api.RetrainResult, page: Path | None) -> None:
    from edgeship.terminal import make_console, wrap_text
    from edgeship.untrusted import printable

    width = make_console().width
    told = "" if result.challenger is None else f" (version {result.challenger}, {'new' if result.is_new else 'known'})"
    click.echo(f"{result.name}: {result.outcome}{told}")
    for text in result.decision.reasons:
        click.echo(wrap_text(f"- to train: {printable(text)}", width, 2))
    for text in result.decision.silent:
        click.echo(wrap_text(f"- no reason: {printable(text)}", width, 2))
    if result.plan:
        plan = result.plan
        click.echo(
            f"training data: {plan.labels:,} labels, {plan.repeats} times, and {plan.replay:,} old samples; audit {plan.audit:,}"
        )
        for note in plan.notes:
            click.echo(wrap_text(f"- {printable(note)}", width, 2))
    elif result.outcome == "would train":
        click.echo("it takes labels and an audit: `edgeship select` draws the samples, `edgeship label` labels them")
    if result.record:
        for text in result.record.reasons:
            click.echo(wrap_text(f"- {printable(text)}", width, 2))
        times = result.record.audit_uses
        judged = f"the newest audit {times} challenger{'s'[: times != 1]}"
        click.echo(f"the evaluation data has judged {result.record.evaluation_uses} versions, {judged}")
    if result.promoted:
        click.echo(f"staging: version {result.challenger}")
    if place := page or result.page:
        click.echo(f"page: {printable(place)}")
