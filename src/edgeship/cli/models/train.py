"""`edgeship train TASK`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output


@click.command("train")
@click.argument("task")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.  [default: runs/TASK]")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder with the four idx files of an image data set."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of the training.")
@click.option("--epochs", type=click.IntRange(1), help="Train this many epochs instead of the task's own number.")
@options.JSON
def train(task: str, out: Path | None, json_file: str | None, **settings: Any) -> None:
    """Train the server model of a built-in TASK: fashion-mnist or motion.

    Writes server.keras, model-card.json and .md, train.npz, validation.npz, calibration.npz, evaluation.npz and labels.txt.

    \b
    Example: edgeship train fashion-mnist --out runs/fashion-mnist
    """
    result = api.train_model(task, out, **settings, progress=True)
    card = result.card
    output.write_json(card.record(), json_file)
    share = card.results.accuracy
    click.echo(
        f"{result.path}: {share.value:.2%} of {share.samples:,} test samples right "
        f"(95 % interval {share.low:.2%} to {share.high:.2%}), "
        f"{card.model.parameters:,} parameters, {card.seconds.total:.0f} s",
        err=True,
    )
