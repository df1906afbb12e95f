"""`edgeship optimize MODEL`: train it further for devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model to write (.keras).")
@click.option("--variant", metavar="NAME", help="Do what this variant of edgeship.toml asks for.")
@options.CONFIG
@click.option(
    "--distill", type=float, metavar="WIDTH", help="Teach a thinner model: this share of every hidden layer's width."
)
@click.option("--student", metavar="FILE", help="Teach this smaller model instead of a thinned one.")
@click.option("--prune", type=float, metavar="SPARSITY", help="Share of zeros in every kernel, such as 0.7.")
@click.option(
    "--prune-layers",
    callback=options.split_names,
    metavar="PATTERNS",
    help="Only layers whose names match: comma-separated, as conv*,head.",
)
@click.option(
    "--prune-pattern", metavar="PATTERN", help="Where the zeros lie: 2:4, or blocks of rows x columns as 4x1."
)
@click.option("--cluster", type=int, metavar="N", help="At most N different values per kernel, such as 16.")
@click.option("--qat", is_flag=True, help="Quantization-aware training for int8; keeps zeros and shared values.")
@click.option("--prune-schedule", help="polynomial (default) or constant.")
@click.option(
    "--data", metavar="DATA", help=f"Training data with labels y: {options.SOURCES}.  [default: train.npz beside it]"
)
@click.option(
    "--validation",
    metavar="DATA",
    help="To choose the best epoch by.  [default: validation.npz beside it, or a tenth]",
)
@click.option("--samples", type=int, help="Use at most this many samples of the training data.")
@click.option("--epochs", type=int, help="Train so long, per step.  [default: 4]")
@click.option("--batch", type=int, help="Samples in a batch.  [default: 64]")
@click.option("--learning-rate", type=float, help="Where it begins; it falls to 0 along a cosine.  [default: 0.001]")
@click.option("--patience", type=int, help="Stop after so many epochs without a better one.  [default: 3]")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of order, held-out samples and training.  [default: 0]"
)
@click.option(
    "--teacher",
    type=float,
    metavar="WEIGHT",
    help="Learn the server model's answers beside the labels: their weight, 0 to 1.  [default: 0]",
)
@click.option("--loss", help="Instead of the one that the labels call for.")
@options.CUSTOM_OBJECTS
@options.ALLOW_UNSAFE
@options.TRUST
@options.JSON
def optimize(model: Path, out: Path, json_file: str | None, **settings: Any) -> None:
    """Train MODEL further so that it becomes smaller or quantizes better, and write it to OUT, a .keras model again.

    What was done, asked and achieved stands in OUT's .optimize.json.

    \b
    Examples:
      edgeship optimize server.keras --out pruned.keras --prune 0.7 --data train.npz
      edgeship optimize server.keras --out small.keras --prune 0.7 --cluster 16 --qat
      edgeship optimize server.keras --out sparse.keras --prune 0.5 --prune-pattern 2:4 --prune-layers 'conv*'
      edgeship optimize server.keras --out client.keras --distill 0.25 --epochs 10
    """
    from edgeship.untrusted import printable

    recipes = _take_recipes(settings)
    optimized = api.optimize_model(model, out, **recipes, **settings, progress=True)
    output.write_json(optimized.receipt.record(), json_file)
    for line in optimized.summary:
        click.echo(printable(line), err=True)


def _take_recipes(settings: dict[str, Any]) -> dict[str, Any]:
    """The recipes that the options stand for, as a table of the configuration would hold them; takes them out of `settings`."""
    layers = settings.pop("prune_layers")
    prune = {
        "sparsity": settings.pop("prune"),
        "layers": list(layers) if layers else None,
        "pattern": settings.pop("prune_pattern"),
        "schedule": settings.pop("prune_schedule"),
    }
    prune = {key: value for key, value in prune.items() if value is not None}
    if prune and "sparsity" not in prune:
        raise click.UsageError("how many zeros? Add --prune, as --prune 0.5")
    distill = {"width": settings.pop("distill"), "student": settings.pop("student")}
    distill = {key: value for key, value in distill.items() if value is not None}
    return {"distill": distill or None, "prune": prune or None, "qat": settings.pop("qat") or None}
