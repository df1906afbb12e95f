"""`edgeship convert MODEL`: artifacts, receipts and goldens, without measuring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@options.conversion_options
@options.JSON
def convert(model: Path, out: Path, json_file: str | None, **settings: Any) -> None:
    """Convert MODEL (.keras, .h5 or a SavedModel folder) into the bundle OUT and check what each artifact really holds.

    Exit code 1 where an artifact could not be made; the others are, and the bundle says why.

    \b
    Examples:
      edgeship convert server.keras --out bundle --to tflite,onnx --variant float32,int8 --data calibration.npz
      edgeship convert old.h5 --out bundle --to tfjs
    """
    from edgeship.benchmarks.report.terminal_table import print_artifacts
    from edgeship.untrusted import printable

    bundle = api.convert_model(model, out, **settings, progress=True)
    manifest = bundle.manifest
    if json_file != "-":
        print_artifacts(manifest)
        place = printable(out)
        command = f"edgeship benchmark {place} --data evaluation.npz {api.options_to_repeat(bundle)}".rstrip()
        click.echo(f"wrote {place}; next: {command}", err=True)
    keys = ("artifacts", "skipped", "failures")
    output.write_json({"bundle": out, **{key: getattr(manifest, key) for key in keys}}, json_file)
    if api.missing_artifacts(bundle):
        raise SystemExit(1)
