"""`edgeship init MODEL`: write a commented edgeship.toml for a model."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write a commented edgeship.toml for a model.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--config", type=click.Path(path_type=Path), help="Where to write it (default: edgeship.toml beside the model)."
)
@click.option("--custom-objects", metavar="PACKAGE.MODULE", help="Module that registers the model's custom layers.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init(model: Path, config: Path | None, custom_objects: str | None, force: bool) -> None:
    """Read MODEL and write an edgeship.toml for it: variants, data, benchmark and budget, each key explained.

    \b
    Example: edgeship init runs/fashion-mnist/server.keras
    """
    from edgeship.initialize import write_config

    path = write_config(model, config, custom_objects=custom_objects, force=force)
    click.echo(f"wrote {path}; next: edgeship ship {model} --out bundle --config {path}", err=True)
