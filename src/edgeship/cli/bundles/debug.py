"""`edgeship debug BUNDLE`: which layer did it, and which takes its time."""

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
@click.option("--profile", is_flag=True, help="Show the time of each operator instead, of a .tflite or .onnx.")
@click.option(
    "--explorer",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures as node data for Model Explorer, to be seen in the graph.",
)
@options.CONFIG
@options.CUSTOM_OBJECTS
@options.ALLOW_UNSAFE
@options.WIDE
@options.JSON
def debug(
    bundle: Path,
    data: str | None,
    samples: int | None,
    profile: bool,
    wide: bool,
    json_file: str | None,
    **settings: Any,
) -> None:
    """Compare an int8 .tflite of BUNDLE with float32 layer by layer, under the layers' Keras names, on real data.

    For each layer: SQNR, MSE and cosine of its output; what the model loses when only this layer is quantized, and what is
    left of the loss when only this layer stays float. The bundle's report shows it too.

    --explorer writes node data: model-explorer bundle/tflite/int8.tflite --node_data_paths errors.json colours the graph by it.

    With --profile: the time of each operator by LiteRT's or ONNX Runtime's own profiler, on one thread, of one sample; of many
    copies of it at once where one is below the profiler's clock.

    What lets code run is never taken from BUNDLE: where its model needs --custom-objects or --allow-unsafe, say so again.

    \b
    Examples:
      edgeship debug bundle
      edgeship debug bundle --artifact tflite/pruned-int8 --data evaluation.npz --samples 1000 --json layers.json
      edgeship debug bundle --profile --artifact onnx/int8
      edgeship debug bundle --explorer errors.json
    """
    from edgeship.types import to_json

    if profile:
        if data or samples:
            raise click.UsageError(
                "--profile takes no --data and --samples: times are taken on one of the bundle's goldens"
            )
        times = api.profile_bundle(bundle, **settings, progress=True)
        if json_file != "-":
            from edgeship.benchmarks.report.layers.operator_table import print_times

            print_times(times)
        output.write_json({"bundle": bundle, **to_json(times)}, json_file)
        return
    layers = api.debug_bundle(bundle, data=data, samples=samples, **settings, progress=True)
    if json_file != "-":
        from edgeship.benchmarks.report.layers.layer_table import print_layers

        print_layers(layers, wide=wide)
    output.write_json({"bundle": bundle, **to_json(layers)}, json_file)
