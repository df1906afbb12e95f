"""`edgeship ship MODEL`: convert, benchmark, gate and report in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@options.conversion_options
@click.option("--evaluation", metavar="DATA", help=options.EVALUATION_HELP)
@options.PROFILE
@options.WIDE
@options.JSON
def ship(model: Path, out: Path, wide: bool, json_file: str | None, **settings: Any) -> None:
    """Make a bundle of MODEL, measure every artifact against it, and say whether it may ship.

    Exit code 0 means PASS, 1 FAIL or INCONCLUSIVE, 2 bad input.

    \b
    Examples:
      edgeship ship server.keras --out bundle                    (edgeship.toml beside the model; `edgeship init` writes one)
      edgeship ship server.keras --out bundle --data calibration.npz --evaluation evaluation.npz
    """
    bundle = api.ship_model(model, out, **settings, progress=True)
    output.show_verdict(bundle, out, json_file, wide=wide)
