"""`edgeship convert MODEL`: artifacts, receipts and goldens, without measuring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship.cli import options


@click.command(short_help="Convert a Keras model to TFLite, ONNX and TF.js.")
@options.conversion
@options.JSON
def convert(model: Path, out: Path, config: Path | None, json_file: str | None, **given: Any) -> None:
    """Convert MODEL (.keras, .h5 or a SavedModel folder) into the bundle OUT and check what each artifact really holds.

    \b
    Examples:
      edgeship convert server.keras --out bundle --to tflite,onnx --variant float32,int8 --data calibration.npz
      edgeship convert old.h5 --out bundle --to tfjs
    """
    from dataclasses import asdict

    from edgeship.benchmarks.report.terminal_table import print_artifacts
    from edgeship.pipeline import ship
    from edgeship.settings import permissions
    from edgeship.untrusted import printable

    formats = options.formats_of(given["formats"])
    settings = options.settings(model, config, given)
    manifest = ship.convert(model, out, settings, formats)
    if json_file != "-":
        print_artifacts(manifest)
        again = "".join(f" {grant.option}" for grant in permissions.of({"model": asdict(settings.model)}))
        place = printable(out)
        click.echo(f"wrote {place}; next: edgeship benchmark {place} --data evaluation.npz{again}", err=True)
    options.emit({"bundle": out, "artifacts": manifest.artifacts, "skipped": manifest.skipped}, json_file)
