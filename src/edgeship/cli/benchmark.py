"""`edgeship benchmark BUNDLE`: size, latency, memory, accuracy and parity of every artifact."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship.cli import options


@click.command(short_help="Measure every artifact of a bundle against the server model.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--data", metavar="DATA", help=options.EVALUATION_HELP)
@click.option("--device", "devices", metavar="NAMES", help="Comma-separated device profiles (default: host).")
@click.option(
    "--runtime", "runtimes", metavar="NAMES", help="Comma-separated runtimes (default: the usual one of each format)."
)
@options.PROFILE
@options.CONFIG
@options.WIDE
@options.JSON
def benchmark(
    bundle: Path,
    data: str | None,
    devices: str | None,
    runtimes: str | None,
    profile: str | None,
    config: Path | None,
    wide: bool,
    json_file: str | None,
) -> None:
    """Measure every artifact of BUNDLE, judge it by the bundle's budget (or CONFIG's), and write the report into it.

    Figures that stand in the cache are not taken again, but for times that the machine was too busy for.

    Exit code 0 means PASS, 1 FAIL or INCONCLUSIVE, 2 bad input.

    \b
    Example: edgeship benchmark bundle --data evaluation.npz --profile quick
    """
    from edgeship import pipeline
    from edgeship.bundle import open_bundle

    opened = open_bundle(bundle)
    given = {"evaluation": data, "devices": devices, "runtimes": runtimes, "profile": profile}
    manifest = pipeline.benchmark(opened, options.benchmark_settings(opened.manifest, config, given))
    options.show_verdict(manifest, bundle, json_file, wide=wide)
