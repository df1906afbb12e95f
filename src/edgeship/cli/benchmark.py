"""`edgeship benchmark BUNDLE`: size, latency, memory, accuracy and parity of every artifact."""

from __future__ import annotations

import tempfile
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
@options.CUSTOM_OBJECTS
@options.ALLOW_UNSAFE
@options.WIDE
@options.JSON
def benchmark(
    bundle: Path,
    data: str | None,
    devices: str | None,
    runtimes: str | None,
    profile: str | None,
    config: Path | None,
    custom_objects: str | None,
    allow_unsafe: bool,
    wide: bool,
    json_file: str | None,
) -> None:
    """Measure every artifact of BUNDLE, judge it by the bundle's budget (or CONFIG's), and write the report into it.

    Figures that stand in the cache are not taken again, but for times that the machine was too busy for.

    What lets code run is never taken from BUNDLE: where its model needs --custom-objects or --allow-unsafe, say so again.

    Without TensorFlow the server model cannot answer: sizes, times and memory are taken and shown, accuracy is not, so the
    verdict is no PASS, and BUNDLE keeps the figures that it has.

    Exit code 0 means PASS, 1 FAIL or INCONCLUSIVE, 2 bad input.

    \b
    Example: edgeship benchmark bundle --data evaluation.npz --profile quick
    """
    from edgeship.bundle.bundle import open_bundle
    from edgeship.pipeline import ship
    from edgeship.untrusted import printable

    opened = open_bundle(bundle)
    given = {
        **{"evaluation": data, "devices": devices, "runtimes": runtimes, "profile": profile},
        **{"custom_objects": custom_objects, "allow_unsafe": allow_unsafe},
    }
    loading = {"custom_objects", "allow_unsafe"} if ship.runs_server_models() else set()
    settings = options.bundle_settings(opened, config, given, {"evaluation", "devices", *loading})
    if ship.runs_server_models():
        manifest = ship.benchmark(opened, settings, bundle)
        options.show_verdict(manifest, bundle, json_file, wide=wide)
        return
    with tempfile.TemporaryDirectory(prefix="edgeship-benchmark-") as folder:
        manifest = ship.benchmark(opened, settings, Path(folder) / "bundle")
    told = f"TensorFlow is not installed: accuracy was not measured, and {printable(bundle)} is as it was"
    click.echo(told, err=True)
    options.show_verdict(manifest, bundle, json_file, wide=wide, written=False)
