"""`edgeship runtimes`: which runtimes are here, and how to get the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeship.cli.options import JSON, emit

if TYPE_CHECKING:
    from edgeship.runtimes.registry import Runtime


@click.group(invoke_without_command=True, short_help="Which runtimes are here, and how to get the others.")
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
    from edgeship.runtimes.registry import RUNTIMES

    rows = [_row(runtime) for runtime in RUNTIMES.values()]
    emit({"runtimes": rows}, json_file)
    if json_file != "-":
        _print(rows)


@runtimes.command(short_help="Install a runtime that has an environment of its own.")
@click.argument("name")
def install(name: str) -> None:
    """Install runtime NAME with its pinned versions into the user's data folder, whole or not at all.

    `browser` stands for all runtimes that run in a page.

    \b
    Example: edgeship runtimes install tflite-runtime
    """
    from edgeship.errors import MissingDependencyError
    from edgeship.runtimes.registry import find

    runtime = find("tfjs-web" if name == "browser" else name)
    if not runtime.unavailable():
        click.echo(f"{name} {runtime.version()} is installed", err=True)
        return
    if runtime.prepare is None:
        raise MissingDependencyError(f"{name} belongs into edgeship's own environment; {runtime.install}")
    click.echo(f"installing {name} ...", err=True)
    folder = runtime.prepare()
    click.echo(f"{name} {runtime.version()} is installed in {folder}", err=True)


def _row(runtime: Runtime) -> dict[str, object]:
    reason = runtime.unavailable()
    return {
        "name": runtime.name,
        "title": runtime.title,
        "formats": list(runtime.formats),
        "available": not reason,
        "version": None if reason else runtime.version(),
        "reason": reason,
        "install": runtime.install if reason else "",
    }


def _print(rows: list[dict[str, object]]) -> None:
    from edgeship.terminal import Column, console, table

    out, body = console(), []
    for row in rows:
        formats = ", ".join(map(str, row["formats"])) if isinstance(row["formats"], list) else ""
        note = f"{row['reason']}; {row['install']}" if row["reason"] else str(row["title"])
        body.append([str(row["name"]), formats, str(row["version"] or "missing"), note])
    out.print(
        table([Column(name, folds=True) for name in ("runtime", "runs", "version", "what it is")], body, out.width)
    )
