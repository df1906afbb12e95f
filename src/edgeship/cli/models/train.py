"""`edgeship train TASK` and `edgeship train --data PATH`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output

# Options that go with --data; what is not given is left to the API.
OF_DATA = ("label", "group", "time", "window", "query", "folds", "repeats")
OF_TUNING = ("tune", "processes", "engine")  # of --data, and of tasks that are learned as one's own data is


@click.command("train")
@click.argument("task", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the results.  [default: runs/TASK, or runs/ and the name of the data]",
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder with the four idx files of an image data set."
)
@click.option(
    "--data",
    help="Your own data: a table (.csv, .parquet), a folder with one folder of pictures or .wav files a class, an .npz, a folder "
    "with four idx files, or a database, sqlite:///FILE or postgresql://...",
)
@click.option("--query", help="The query of --data that is a database: its rows are the table.")
@click.option("--label", metavar="COLUMN", help="The column that is to be predicted.")
@click.option("--group", metavar="COLUMN", help="No value of this column is in two splits, as a patient or a machine.")
@click.option("--time", metavar="COLUMN", help="By this column: the model is tested on the latest rows.")
@click.option(
    "--window",
    type=click.IntRange(1),
    help="Windows of so many rows, of a table of sensor values in the order of --time.",
)
@click.option("--allow-worse", is_flag=True, help="Exit code 0 although a baseline is not beaten.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of the training.")
@click.option("--epochs", type=click.IntRange(1), help="Train this many epochs instead of the task's own number.")
@click.option(
    "--folds", type=click.IntRange(2), help="k-fold with so many folds.  [default: by the number of samples, or none]"
)
@click.option("--repeats", type=click.IntRange(1), help="Repeat the folds so often, split anew.  [default: 1]")
@click.option(
    "--tune",
    type=click.IntRange(2),
    metavar="N",
    help="Try N configurations by their validation loss, the usual one first, of --data, flights or spoken-digits-synthetic. The "
    "same command goes on where it was interrupted.",
)
@click.option("--processes", type=click.IntRange(1), help="Try so many configurations at once.  [default: 1]")
@click.option("--engine", help="Where configurations are tried: local, or ray (RAY_ADDRESS).  [default: local]")
@options.JSON
def train(
    task: str | None, data: str | None, out: Path | None, json_file: str | None, allow_worse: bool, **settings: Any
) -> int:
    """Train the server model of a built-in TASK, or one of your own data.

    TASK is fashion-mnist (pictures), motion (sensor windows), flights (a table) or spoken-digits-synthetic (sound).

    Writes server.keras, model-card.json and .md, train.npz, validation.npz, calibration.npz, evaluation.npz and labels.txt. Of
    --data, flights and spoken-digits-synthetic the card compares the network with baselines, model-card.html has pictures, and
    the exit code is 1 where a baseline is not beaten.

    \b
    Example: edgeship train fashion-mnist --out runs/fashion-mnist
             edgeship train --data customers.csv --label bought --out runs/customers
             edgeship train --data customers.csv --label bought --out runs/customers --tune 20 --processes 2
    """
    if (task is None) == (data is None):
        raise click.UsageError("give a built-in TASK or --data with a file of your own, and not both")
    own = {name: settings.pop(name) for name in OF_DATA}
    tuning = {name: value for name in OF_TUNING if (value := settings.pop(name)) is not None}
    if tuning and "tune" not in tuning:
        raise click.UsageError(f"--{next(iter(tuning))} goes with --tune")
    if data is None:
        for name, value in own.items():
            if value is not None:
                raise click.UsageError(f"--{name} goes with --data")
        return _show(api.train_model(str(task), out, **settings, **tuning, progress=True), json_file, allow_worse)
    if settings.pop("data_dir") is not None:
        raise click.UsageError("--data-dir goes with a built-in TASK; --data takes your own data")
    name = Path(data).stem if "://" not in data or data.startswith("sqlite:///") else "query"
    given = {option: value for option, value in own.items() if value is not None}
    result = api.train_on_data(data, out or Path("runs") / name, **settings, **given, **tuning, progress=True)
    return _show(result, json_file, allow_worse)


def _show(result: api.TrainedModel | api.OwnDataModel, json_file: str | None, allow_worse: bool) -> int:
    """Print what came out; returns the exit code."""
    card = result.card
    output.write_json(card.record(), json_file)
    if isinstance(result, api.OwnDataModel):
        click.echo(f"{result.path}: {result.quality}", err=True)
        if not result.worse_than:
            return 0
        names = " and ".join(result.worse_than)
        click.echo(f"the network does not beat the {names}: model-card.html has the figures", err=True)
        return 0 if allow_worse else 1
    share = result.card.results.accuracy
    click.echo(
        f"{result.path}: {share.value:.2%} of {share.samples:,} test samples right "
        f"(95 % interval {share.low:.2%} to {share.high:.2%}), "
        f"{card.model.parameters:,} parameters, {card.seconds.total:.0f} s",
        err=True,
    )
    return 0
