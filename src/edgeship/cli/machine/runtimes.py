"""`edgeship runtimes`: which runtimes are here, and how to get the others."""

from __future__ import annotations

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.group(invoke_without_command=True)
@JSON
@click.pass_context
def runtimes(context: click.Context, json_file: str | None) -> None:
    """List the runtimes that execute artifacts: what each runs, its version, and what is missing.

    \b
    Example: edgeship runtimes
             edgeship runtimes install tflite-runtime
    """
    if context.invoked_subcommand:
        return
    statuses = api.list_runtimes()
    write_json({"runtimes": statuses}, json_file)
    if json_file != "-":
        _print_statuses(statuses)


@runtimes.command(short_help="Install a runtime that has an environment of its own.")
@click.argument("name")
def install(name: str) -> None:
    """Install runtime NAME with its pinned versions into the user's data folder, whole or not at all.

    `browser` stands for all runtimes that run in a page, `server` is what `edgeship serve` runs.

    \b
    Example: edgeship runtimes install tflite-runtime
    """
    api.install_runtime(name, progress=True)


def _print_statuses(statuses: list[api.RuntimeStatus]) -> None:
    from edgeship.terminal import Column, make_console, make_table

    out, body = make_console(), []
    for status in statuses:
        note = f"{status.reason}; {status.install}" if status.reason else status.title
        body.append([status.name, ", ".join(status.formats), status.version or "missing", note])
    columns = [Column(name, folds=True) for name in ("runtime", "runs", "version", "what it is")]
    out.print(make_table(columns, body, out.width))
