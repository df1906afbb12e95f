"""`edgeship gate BUNDLE`: judge a measured bundle by its budget, or model files by a few figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output
from edgeship.cli.bundles import files

PATH = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="BUNDLE | FILE...")
@click.option("--config", type=PATH, help="edgeship.toml with another budget than the bundle was made with.")
@click.option("--junit", type=PATH, help="Write the checks as JUnit XML, for CI.")
@click.option("--markdown", type=PATH, help="Write the checks as Markdown, for a comment on a pull request.")
@files.file_options
@click.option(
    "--data",
    "evaluation",
    metavar="DATA",
    help=f"Files: {options.EVALUATION_HELP[0].lower()}{options.EVALUATION_HELP[1:]}",
)
@options.CUSTOM_OBJECTS
@options.ALLOW_UNSAFE
@options.TRUST
@options.JSON
def gate(
    paths: tuple[Path, ...], config: Path | None, junit: Path | None, markdown: Path | None, json_file: str | None,
    server: Path | None, **settings: Any,
) -> None:  # fmt: skip
    """Say whether the artifacts of BUNDLE may ship: PASS, FAIL or INCONCLUSIVE for each check, with the reason.

    Of FILEs that anybody made, .tflite, .onnx or TF.js models, accuracy and parity with the server model are measured now,
    times and memory only where the budget limits them. Their origin is unknown, and is neither passed nor failed.

    A bundle of another server model than --server, or than what lies now where its own was copied from, fails.

    What was not measured is not a pass. Exit code 0 means PASS, 1 FAIL or INCONCLUSIVE, 2 bad input.

    \b
    Examples:
      edgeship gate bundle --config edgeship.toml --junit gate.xml --markdown gate.md
      edgeship gate model.tflite --server server.keras --data evaluation.npz --max-drop 1
    """
    if files.are_files(paths):
        server = files.require_server(paths, server)
        reports = {"junit": junit, "markdown": markdown}
        result = api.judge_files(paths, server, config=config, **reports, **settings, progress=True)
        subject: dict[str, object] = {"files": paths}
    else:
        files.refuse_options(paths[0], settings)
        result = api.judge_bundle(paths[0], config=config, server=server, junit=junit, markdown=markdown, progress=True)
        subject = {"bundle": paths[0]}
    if json_file != "-":
        from edgeship.benchmarks.report.terminal_table import print_checks

        print_checks(result)
    output.write_json({**subject, "gate": result}, json_file)
    if result.verdict != "PASS":
        raise SystemExit(1)
