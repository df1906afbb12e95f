"""`edgeship devices`: where artifacts can be run, and how to set a device up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeship.cli.options import JSON, emit

if TYPE_CHECKING:
    from edgeship.devices.profiles import Device


@click.group(invoke_without_command=True, short_help="Where artifacts can be run, and how to set a device up.")
@JSON
@click.pass_context
def devices(context: click.Context, json_file: str | None) -> None:
    """List the devices that artifacts can be run on: this machine, older runtimes, emulated boards, compilers.

    \b
    Example: edgeship devices
             edgeship devices install cortex-a72
             edgeship benchmark bundle --device host,cortex-a72
    """
    if context.invoked_subcommand:
        return
    from edgeship.devices.profiles import find, names

    rows = [_row(find(name)) for name in names()]
    emit({"devices": rows}, json_file)
    if json_file != "-":
        _print(rows)


@devices.command(short_help="Set devices up, without root and outside the system.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def install(names: tuple[str, ...]) -> None:
    """Set up the devices NAME... (or a profile's .toml file) in the user's cache folder, each whole or not at all.

    \b
    Example: edgeship devices install cortex-a72 field-tflite-2.14
    """
    import time

    from edgeship.devices.profiles import find
    from edgeship.runtimes.launchers import find_launcher

    for place in [find_launcher(find(name)) for name in names]:
        name = place.device.name
        if not place.unavailable():
            click.echo(f"{name} is installed", err=True)
            continue
        click.echo(f"installing {name} ...", err=True)
        start = time.perf_counter()
        folder = place.install()
        click.echo(f"{name} is installed in {folder} ({time.perf_counter() - start:.1f} s)", err=True)


@devices.command(short_help="Check that devices compute rightly.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@JSON
def doctor(names: tuple[str, ...], json_file: str | None) -> None:
    """Run known models on the devices NAME... (default: all that are installed) and compare with their known outputs.

    Exit code 1 means that one computes wrongly or does not run.

    \b
    Example: edgeship devices doctor cortex-a72
    """
    from dataclasses import asdict

    from edgeship.devices.profiles import find
    from edgeship.devices.profiles import names as known
    from edgeship.runtimes.launchers import WAYS, find_launcher
    from edgeship.runtimes.launchers.selfcheck import MODELS, examine
    from edgeship.untrusted import printable

    found = [find(name) for name in names or known()]
    places = [find_launcher(device) for device in found if device.how in WAYS]
    if not names:
        places = [place for place in places if not place.unavailable()]
    for place in places:
        place.require()
    jobs = [(place, name) for place in places for name in place.device.runtimes or ("litert",) if name in MODELS]
    findings = [examine(place, runtime) for place, runtime in jobs]
    emit({"findings": [asdict(item) for item in findings]}, json_file)
    for item in findings if json_file != "-" else ():
        told = item.wrong or ("bit-exact" if not item.largest else f"right, within {item.largest:.2g} {item.unit}")
        click.echo(printable(f"{'FAIL' if item.wrong else 'ok':5}{item.device} {item.runtime}: {told}"))
    if any(item.wrong for item in findings):
        raise SystemExit(1)


def _row(device: Device) -> dict[str, object]:
    from edgeship.runtimes.launchers import WAYS, find_launcher

    row = {"name": device.name, "title": device.title, "kind": str(device.kind), "figures": list(device.figures)}
    if device.how not in WAYS:
        return {**row, "runtimes": {}, "available": None, "reason": "", "install": ""}
    place = find_launcher(device)
    reason = place.unavailable()
    versions = {name: place.version(name) for name in device.runtimes}
    return {
        **row,
        "runtimes": versions,
        "available": not reason,
        "reason": reason,
        "install": place.hint if reason else "",
    }


def _print(rows: list[dict[str, object]]) -> None:
    from edgeship.terminal import Column, console, table

    out, body = console(), []
    for row in rows:
        state = {True: "ready", False: "-", None: ""}[row["available"]]  # type: ignore[index]
        note = f"{row['title']} ({row['reason']})" if row["reason"] else str(row["title"])
        body.append([str(row["name"]), str(row["kind"]), state, note])
    columns = [Column("device", folds=True), Column("kind"), Column("state"), Column("what it is", folds=True)]
    out.print(table(columns, body, out.width))
