"""`edgeship deploy`: what brings a judged bundle into an app."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON, split_names
from edgeship.cli.output import write_json


@click.group()
def deploy() -> None:
    """Bring a bundle into an app.

    \b
    Example: edgeship deploy codegen bundle --for c,python --out client
    """


ARTIFACT = click.option(
    "--artifact", metavar="ID", help="Which .tflite (default: tflite/mobile, else a recommended one)."
)


@deploy.command(short_help="Write client code that tests itself.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "languages",
    required=True,
    callback=split_names,
    metavar="LANGUAGES",
    help="Comma-separated: c,kotlin,python,swift,typescript.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where a folder per language is written.")
@ARTIFACT
def codegen(bundle: Path, languages: tuple[str, ...], out: Path, artifact: str | None) -> None:
    """Write client code for a .tflite of BUNDLE: preprocessing to the byte, labels, and a self-test with the bundle's goldens.

    The folders need no edgeship; each has a README with the steps into a project.

    \b
    Examples:
      edgeship deploy codegen bundle --for c --out client
      edgeship deploy codegen bundle --for kotlin,swift --artifact tflite/int8 --out client
    """
    from edgeship.untrusted import printable

    for folder in api.write_clients(bundle, out, languages=languages, artifact=artifact):
        click.echo(f"client: {printable(folder)}")


@deploy.command(short_help="Write a model in the layout of a store.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--to", "layout", type=click.Choice(["ai-pack"]), required=True, help="Which layout.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The folder to write; its name is the pack's."
)
@ARTIFACT
def export(bundle: Path, layout: str, out: Path, artifact: str | None) -> None:
    """Write a .tflite of BUNDLE as an AI pack of Google Play: a module of an Android project, with contract and labels.

    The layout follows Google's documentation; it was not tried on a store.

    \b
    Example: edgeship deploy export bundle --to ai-pack --out android/model_pack
    """
    from edgeship.untrusted import printable

    click.echo(f"{layout}: {printable(api.export_ai_pack(bundle, out, artifact=artifact))}")


@deploy.command(short_help="Compile clients and run their self-tests here.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "languages",
    callback=split_names,
    metavar="LANGUAGES",
    help="Comma-separated: c,kotlin,python,typescript (default: those whose lanes are installed; see edgeship runtimes).",
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
