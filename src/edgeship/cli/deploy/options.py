"""Options that several commands of `edgeship deploy` share."""

from __future__ import annotations

import click

ARTIFACT = click.option(
    "--artifact", metavar="ID", help="Which .tflite (default: tflite/mobile, else a recommended one)."
)
