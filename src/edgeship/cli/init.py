"""`edgeship init MODEL`: write a commented edgeship.toml for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship.cli import options


@click.command(short_help="Write a commented edgeship.toml for a model.")
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

    from edgeship.pipeline.init_config import write_config
    from edgeship.settings.config import Config
    from edgeship.untrusted import printable

    path = write_config(model, config, loading, force=force)
    data = Config.read(path).data
    missing = [name for name in ("calibration", "evaluation") if getattr(data, name) is None]
    first = f"name your {' and '.join(missing)} data in its [data], then: " if missing else "next: "
    command = shlex.join(["edgeship", "ship", str(model), "--out", "bundle", "--config", str(path)])
    click.echo(printable(f"wrote {path}; {first}{command}"), err=True)
