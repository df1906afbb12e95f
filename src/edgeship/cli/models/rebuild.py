"""`edgeship rebuild LOCK`: the same artifacts again."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@click.argument("lock", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Keep the bundle that is made (a folder).")
@click.option("--trust", is_flag=True, help="Let code run that the lock names, or that the model holds.")
@options.JSON
def rebuild(lock: Path, out: Path | None, trust: bool, json_file: str | None) -> None:
    """Make the artifacts of LOCK (edgeship lock) again, without the cache, and compare them with the locked ones byte by byte.

    Exit code 0 when all are the same; 1 when one is not: the first byte that differs, what of its constants and operators does,
    and whether its outputs do, are told where the locked bundle is still there; 2 when tools, model or data are others.

    \b
    Example: edgeship rebuild edgeship.lock
    """
    result = api.rebuild_bundle(lock, out, trust=trust, progress=True)
    if json_file != "-":
        print_rebuild(result)
    output.write_json({"lock": lock, "same": result.same, "rebuild": result}, json_file)
    if not result.same:
        raise SystemExit(1)


def print_rebuild(result: api.Rebuild) -> None:
    """A table on standard output."""
    from rich.text import Text

    from edgeship.terminal import Column, make_console, make_table
    from edgeship.untrusted import printable_value

    out = make_console()
    columns = [Column("artifact", folds=True), Column("bytes"), Column("first difference", folds=True)]
    columns += [Column("outputs"), Column("why", folds=True)]
    body: list[list[str | Text]] = []
    for item in result.artifacts:
        word = Text("same", style="green") if item.same else Text("DIFFER", style="red")
        first = item.file if item.offset is None else f"{item.file}, byte {item.offset:,}"
        outputs = {None: "-", True: "equal", False: "differ"}[True if item.same else item.outputs_equal]
        name, place, why = printable_value([item.artifact, first, item.reason or "; ".join(item.differences)])
        body.append([name, word, place, outputs, why])
    out.print(make_table(columns, body, out.width))
    if result.elsewhere and not result.same:
        click.echo(f"this machine is another, which may round otherwise: {', '.join(result.elsewhere)}", err=True)
