"""`edgeship debug BUNDLE`: which layer did it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--artifact", metavar="NAME", help="Which full-integer .tflite, as tflite/int8 (default: the first).")
@click.option(
    "--data",
    metavar="DATA",
    help=f"Real data: {options.SOURCES}.  [default: the bundle's evaluation data, else calibration]",
)
@click.option("--samples", type=click.IntRange(min=1), help="Compare on so many of its samples.  [default: 256]")
@options.CONFIG
@options.CUSTOM_OBJECTS
@options.ALLOW_UNSAFE
@options.WIDE
@options.JSON
def debug(bundle: Path, wide: bool, json_file: str | None, **settings: Any) -> None:
    """Compare an int8 .tflite of BUNDLE with float32 layer by layer, under the layers' Keras names, on real data.

    For each layer: SQNR, MSE and cosine of its output; what the model loses when only this layer is quantized, and what is
    left of the loss when only this layer stays float. The bundle's report shows it too.

    What lets code run is never taken from BUNDLE: where its model needs --custom-objects or --allow-unsafe, say so again.

    \b
    Examples:
      edgeship debug bundle
      edgeship debug bundle --artifact tflite/pruned-int8 --data evaluation.npz --samples 1000 --json layers.json
    """
    from edgeship.types import to_json

    layers = api.debug_bundle(bundle, **settings, progress=True)
    if json_file != "-":
        from edgeship.benchmarks.report.layer_table import print_layers

        print_layers(layers, wide=wide)
    output.write_json({"bundle": bundle, **to_json(layers)}, json_file)
