"""What commands write: results as JSON, and the table with the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api


def write_json(data: Any, json_file: str | None) -> None:
    """Write a result with its schema version as JSON where it was asked for."""
    import json

    from edgeship.types import to_json

    if json_file is None:
        return
    text = json.dumps({"schema": 1, **to_json(data)}, indent=1, allow_nan=False)
    if json_file == "-":
        click.echo(text)
    else:
        api.write_result(Path(json_file), text + "\n")


def show_verdict(
    bundle: api.Bundle,
    place: Path | None,
    json_file: str | None,
    *,
    wide: bool = False,
    report: bool = True,
    again: str = "",
) -> None:
    """Print the table and the verdict, or write them as JSON; anything but PASS is exit code 1.

    `place` is the bundle's path as the user gave it, None where none is kept; `report`: whether the bundle there
    holds figures and report. `again`: the command that takes times which are missing.
    """
    from edgeship.benchmarks.report.terminal_table import render_results
    from edgeship.terminal import make_console
    from edgeship.untrusted import damage_as_input_error, printable

    manifest = bundle.manifest
    if json_file != "-":
        out = make_console(wide=wide)
        with damage_as_input_error(place):  # some of it is what the bundle's maker wrote
            table = render_results(manifest, out.width, wide=wide)
        out.print(table)
        if report and place:
            click.echo(f"report: {printable(place / 'report' / 'index.html')}")
        if api.lacks_times(bundle):
            hint = "times are missing, as the machine was too busy; on a quiet one this takes those alone:"
            click.echo(f"{hint} {again or f'edgeship benchmark {printable(place)}'}", err=True)
    keys = ("server_model", "artifacts", "skipped", "failures", "measurements", "matrix", "gate")
    recommended = manifest.gate.recommended if manifest.gate else ()
    shown = {key: getattr(manifest, key) for key in keys}
    write_json({"bundle": place, **shown, "recommended": recommended}, json_file)
    if manifest.gate is None or manifest.gate.verdict != "PASS":
        raise SystemExit(1)
