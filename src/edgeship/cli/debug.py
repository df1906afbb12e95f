"""`edgeship debug BUNDLE`: which layer did it."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship.cli import options


@click.command(short_help="Show which layers cost an int8 model its accuracy.")
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
def debug(
    bundle: Path,
    artifact: str | None,
    data: str | None,
    samples: int | None,
    config: Path | None,
    custom_objects: str | None,
    allow_unsafe: bool,
    wide: bool,
    json_file: str | None,
) -> None:
    """Compare an int8 .tflite of BUNDLE with float32 layer by layer, under the layers' Keras names, on real data.

    For each layer: SQNR, MSE and cosine of its output; what the model loses when only this layer is quantized, and what is
    left of the loss when only this layer stays float. The bundle's report shows it too.

    What lets code run is never taken from BUNDLE: where its model needs --custom-objects or --allow-unsafe, say so again.

    \b
    Examples:
      edgeship debug bundle
      edgeship debug bundle --artifact tflite/pruned-int8 --data evaluation.npz --samples 1000 --json layers.json
    """
    from edgeship.bundle.bundle import open_bundle
    from edgeship.pipeline import layer_sensitivity, ship
    from edgeship.types import to_json

    opened = open_bundle(bundle)
    given = {"evaluation": data, "custom_objects": custom_objects, "allow_unsafe": allow_unsafe}
    needed = {"evaluation", "calibration", "custom_objects", "allow_unsafe"}
    settings = options.bundle_settings(opened, config, given, needed)
    found = ship.debug(opened, settings, artifact, samples or layer_sensitivity.SAMPLES)
    if json_file != "-":
        from edgeship.benchmarks.report.layer_table import print_layers

        print_layers(found, wide=wide)
    options.emit({"bundle": bundle, **to_json(found)}, json_file)
