"""`edgeship deploy selftest`: clients compiled, and their self-tests run."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.options import ARTIFACT
from edgeship.cli.options import JSON, split_names
from edgeship.cli.output import write_json


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "languages",
    callback=split_names,
    metavar="LANGUAGES",
    help="Comma-separated: c,kotlin,python,swift,typescript (default: those whose lanes are installed; see edgeship runtimes).",
)
@ARTIFACT
@click.option(
    "--out", type=click.Path(path_type=Path), help="A folder for the results: edgeship report --add takes them."
)
@JSON
def selftest(
    bundle: Path, languages: tuple[str, ...] | None, artifact: str | None, out: Path | None, json_file: str | None
) -> None:
    """Generate clients of BUNDLE, compile them with warnings as errors, and run their self-tests on this machine.

    Exit code 0 when all pass, 1 when one does not.

    \b
    Examples:
      edgeship deploy selftest bundle
      edgeship deploy selftest bundle --for c --artifact tflite/int8 --out results
    """
    runs = api.selftest_clients(bundle, languages=languages or (), artifact=artifact, out=out, progress=True)
    if json_file != "-":
        print_runs(runs)
    write_json({"bundle": bundle, "clients": runs}, json_file)
    if not runs or not all(run.passed for run in runs):
        raise SystemExit(1)


def print_runs(runs: tuple[api.ClientRun, ...]) -> None:
    """A table on standard output."""
    from rich.text import Text

    from edgeship.terminal import Column, make_console, make_table
    from edgeship.untrusted import printable_value

    out, body = make_console(), []
    for run in runs:
        result = run.result or {}
        word = Text("passed", style="green") if run.passed else Text("FAILED", style="red")
        engine, samples = str(result.get("engine", "-")), str(result.get("samples", "-"))
        body.append([run.lane, word, *printable_value([samples, engine, run.reason])])
    columns = [Column(name, folds=True) for name in ("client", "self-test", "goldens", "engine", "why")]
    out.print(make_table(columns, body, out.width))
