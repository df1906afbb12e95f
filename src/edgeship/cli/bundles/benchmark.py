"""`edgeship benchmark BUNDLE`: size, latency, memory, accuracy and parity of every artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
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
@options.CUSTOM_OBJECTS
@options.ALLOW_UNSAFE
@options.WIDE
@options.JSON
def benchmark(bundle: Path, wide: bool, json_file: str | None, **settings: Any) -> None:
    """Measure every artifact of BUNDLE, judge it by the bundle's budget (or CONFIG's), and write the report into it.

    Figures that stand in the cache are not taken again, but for times that the machine was too busy for.

    What lets code run is never taken from BUNDLE: where its model needs --custom-objects or --allow-unsafe, say so again.

    Without TensorFlow the server model cannot answer: sizes, times and memory are taken and shown, accuracy is not, so the
    verdict is no PASS, and BUNDLE keeps the figures that it has.

    Exit code 0 means PASS, 1 FAIL or INCONCLUSIVE, 2 bad input.

    \b
    Example: edgeship benchmark bundle --data evaluation.npz --profile quick
    """
    from edgeship.untrusted import printable

    whole = api.measures_accuracy()
    result = api.benchmark_bundle(bundle, **settings, progress=True)
    if not whole:
        click.echo(
            f"TensorFlow is not installed: accuracy was not measured, and {printable(bundle)} is as it was", err=True
        )
    output.show_verdict(result, bundle, json_file, wide=wide, report=whole)
