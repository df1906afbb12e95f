"""`edgeship optimize MODEL`: train it further for devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship.cli import options

SETTINGS = ("epochs", "batch", "learning_rate", "seed", "patience", "loss", "samples", "teacher")


@click.command(short_help="Prune, cluster, distil or quantization-aware-train a Keras model.")
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
    "--prune-layers", metavar="PATTERNS", help="Only layers whose names match: comma-separated, as conv*,head."
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
def optimize(model: Path, out: Path, json_file: str | None, **given: Any) -> None:
    """Train MODEL further so that it becomes smaller or quantizes better, and write it to OUT, a .keras model again.

    What was done, asked and achieved stands in OUT's .optimize.json.

    \b
    Examples:
      edgeship optimize server.keras --out pruned.keras --prune 0.7 --data train.npz
      edgeship optimize server.keras --out small.keras --prune 0.7 --cluster 16 --qat
      edgeship optimize server.keras --out sparse.keras --prune 0.5 --prune-pattern 2:4 --prune-layers 'conv*'
      edgeship optimize server.keras --out client.keras --distill 0.25 --epochs 10
    """  # click wants the character itself
    from dataclasses import replace

    from edgeship.pipeline import fine_tuning
    from edgeship.untrusted import printable

    recipes, training, data, loading = _asked(model, given)
    settings = {key: given[key] for key in SETTINGS if given[key] is not None}
    receipt = fine_tuning.run(
        model, out, recipes, replace(training, **settings), data=data.train, validation=data.validation, **loading
    )
    options.emit(receipt, json_file)
    for line in fine_tuning.summary(receipt):
        click.echo(printable(line), err=True)


def _asked(model: Path, given: dict[str, Any]) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Recipes, settings of training, data and how to load: the variant's of the configuration, or the options'."""
    from dataclasses import replace

    from edgeship.errors import InputError, unknown
    from edgeship.recipes.training import Recipes

    config = options.settings(model, given["config"], {**given, "data": None, "samples": None, "variants": None})
    loading = {"custom_objects": config.model.custom_objects, "allow_unsafe": config.model.allow_unsafe}
    table = {name: value for name, value in _recipes(given).items() if value is not None}
    if given["variant"] and table:
        raise InputError("either --variant, or --prune, --cluster, --qat and --distill")
    if given["variant"]:
        known = {variant.name: variant.recipes for variant in config.variants or () if variant.recipes}
        if given["variant"] not in known:
            raise unknown("variant that is trained further", given["variant"], known, config.source)
        recipes = known[given["variant"]]
    else:
        recipes = Recipes.read(table)
    train = given["data"] or config.data.train
    # The file beside the model belongs to the training data beside it, not to other data.
    validation = given["validation"] or (config.data.validation if train == config.data.train else None)
    return recipes, config.training, replace(config.data, train=train, validation=validation), loading


def _recipes(given: dict[str, Any]) -> dict[str, Any]:
    """The recipes that the options stand for, as a table of the configuration would hold them."""
    prune = {
        "sparsity": given["prune"],
        "layers": list(options.names_of(given["prune_layers"])) if given["prune_layers"] else None,
        "pattern": given["prune_pattern"],
        "schedule": given["prune_schedule"],
    }
    asked = {key: value for key, value in prune.items() if value is not None}
    if asked and given["prune"] is None:
        raise click.UsageError("how many zeros? Add --prune, as --prune 0.5")
    distill = {"width": given["distill"], "student": given["student"]}
    taught = {key: value for key, value in distill.items() if value is not None}
    return {"distill": taught or None, "prune": asked or None, "cluster": given["cluster"], "qat": given["qat"] or None}
