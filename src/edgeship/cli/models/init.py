"""`edgeship init MODEL`: write a commented edgeship.toml for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--config", type=click.Path(path_type=Path), help="Where to write it (default: edgeship.toml beside the model)."
)
@options.CUSTOM_OBJECTS
@options.SIGNATURE
@options.ALLOW_UNSAFE
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init(model: Path, config: Path | None, force: bool, **loading: Any) -> None:
    """Read MODEL and write an edgeship.toml for it: variants, data, benchmark and budget, each key explained.

    \b
    Example: edgeship init runs/fashion-mnist/server.keras
    """
    import shlex

    from edgeship.untrusted import printable

    config_file = api.init_model(model, config, **loading, replace=force, progress=True)
    missing = " and ".join(config_file.missing_data)
    first = f"name your {missing} data in its [data], then: " if missing else "next: "
    command = shlex.join(["edgeship", "ship", str(model), "--out", "bundle", "--config", str(config_file.path)])
    click.echo(printable(f"wrote {config_file.path}; {first}{command}"), err=True)
