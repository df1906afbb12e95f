"""`edgeship devices`: where artifacts can be run, and how to set a device up."""

from __future__ import annotations

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.group(invoke_without_command=True)
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
    statuses = api.list_devices()
    write_json({"devices": statuses}, json_file)
    if json_file != "-":
        _print_statuses(statuses)


@devices.command(short_help="Set devices up, without root and outside the system.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def install(names: tuple[str, ...]) -> None:
    """Set up the devices NAME... (or a profile's .toml file) in the user's cache folder, each whole or not at all.

    \b
    Example: edgeship devices install cortex-a72 field-tflite-2.14
    """
    api.install_devices(names, progress=True)


@devices.command(short_help="Check that devices compute rightly.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@JSON
def doctor(names: tuple[str, ...], json_file: str | None) -> None:
    """Run known models on the devices NAME... (default: all that are installed) and compare with their known outputs.

    Exit code 1 means that one computes wrongly or does not run.

    \b
    Example: edgeship devices doctor cortex-a72
    """
    from edgeship.untrusted import printable

    findings = api.check_devices(names)
    write_json({"findings": findings}, json_file)
    for item in findings if json_file != "-" else ():
        result = item.wrong or ("bit-exact" if not item.largest else f"right, within {item.largest:.2g} {item.unit}")
        click.echo(printable(f"{'FAIL' if item.wrong else 'ok':5}{item.device} {item.runtime}: {result}"))
    if any(item.wrong for item in findings):
        raise SystemExit(1)


def _print_statuses(statuses: list[api.DeviceStatus]) -> None:
    from edgeship.terminal import Column, make_console, make_table

    out, body = make_console(), []
    for status in statuses:
        state = {True: "ready", False: "-", None: ""}[status.available]
        note = f"{status.title} ({status.reason})" if status.reason else status.title
        body.append([status.name, status.kind, state, note])
    columns = [Column("device", folds=True), Column("kind"), Column("state"), Column("what it is", folds=True)]
    out.print(make_table(columns, body, out.width))
