"""`edgeship benchmark BUNDLE`, or model files: size, latency, memory, accuracy and parity of every artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output
from edgeship.cli.bundles import files


@click.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="BUNDLE | FILE...")
@click.option("--data", "evaluation", metavar="DATA", help=options.EVALUATION_HELP)
@click.option(
    "--device",
    "devices",
    callback=options.split_names,
    default="",
    metavar="NAMES",
    help="Comma-separated device profiles (default: host).",
)
@click.option(
    "--runtime",
    "runtimes",
    callback=options.split_names,
    default="",
    metavar="NAMES",
    help="Comma-separated runtimes (default: the usual one of each format).",
)
@options.PROFILE
@options.CONFIG
@files.file_options
@click.option("--out", type=click.Path(path_type=Path), help="Files: a bundle to write, with the report.")
@options.CUSTOM_OBJECTS
@options.ALLOW_UNSAFE
@options.TRUST
@options.WIDE
@options.JSON
def benchmark(
    paths: tuple[Path, ...], wide: bool, json_file: str | None, out: Path | None, trust: bool, **settings: Any
) -> None:
    """Measure every artifact of BUNDLE, judge it by the bundle's budget (or CONFIG's), and write the report into it.

    Or measure FILEs that anybody made, .tflite, .onnx or TF.js models, against a server model: their origin is unknown, so
    they are judged by their figures alone, by the budget of the edgeship.toml beside the server model (or CONFIG's). Each is
    compared with what edgeship makes of the model by the nearest recipe; what differs is a remark, and no failure.

    Figures that stand in the cache are not taken again, but for times that the machine was too busy for.

    What lets code run is never taken from BUNDLE: where its model needs --custom-objects or --allow-unsafe, say so again.

    Without TensorFlow the server model cannot answer: sizes, times and memory are taken and shown, accuracy is not, so the
    verdict is no PASS, and BUNDLE keeps the figures that it has.

    Exit code 0 means PASS, 1 FAIL or INCONCLUSIVE, 2 bad input.

    \b
    Examples:
      edgeship benchmark bundle --data evaluation.npz --profile quick
      edgeship benchmark model.tflite vendor.onnx --server server.keras --data evaluation.npz --max-drop 1
    """
    from edgeship.untrusted import printable

    if files.are_files(paths):
        server = files.require_server(paths, settings.pop("server"))
        result = api.benchmark_files(paths, server, out=out, trust=trust, **settings, progress=True)
        again = "" if out else "the same command"
        output.show_verdict(result, out, json_file, wide=wide, again=again)
        return
    bundle = paths[0]
    for_files = {name: settings.pop(name) for name in ("server", "max_drop", "layout", "tensors")}
    files.refuse_options(bundle, {**for_files, "out": out, "trust": trust})
    whole = api.measures_accuracy()
    result = api.benchmark_bundle(bundle, **settings, progress=True)
    if not whole:
        click.echo(
            f"TensorFlow is not installed: accuracy was not measured, and {printable(bundle)} is as it was", err=True
        )
    output.show_verdict(result, bundle, json_file, wide=wide, report=whole)
