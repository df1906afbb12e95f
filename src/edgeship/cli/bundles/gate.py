"""`edgeship gate BUNDLE`: judge a measured bundle by its budget."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli import options, output

PATH = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--config", type=PATH, help="edgeship.toml with another budget than the bundle was made with.")
@click.option("--junit", type=PATH, help="Write the checks as JUnit XML, for CI.")
@click.option("--markdown", type=PATH, help="Write the checks as Markdown, for a comment on a pull request.")
@options.JSON
def gate(bundle: Path, config: Path | None, junit: Path | None, markdown: Path | None, json_file: str | None) -> None:
    """Say whether the artifacts of BUNDLE may ship: PASS, FAIL or INCONCLUSIVE for each check, with the reason.

    What was not measured is not a pass. Exit code 0 means PASS, 1 FAIL or INCONCLUSIVE, 2 bad input.

    \b
    Example: edgeship gate bundle --config edgeship.toml --junit gate.xml --markdown gate.md
    """
    result = api.judge_bundle(bundle, config=config, junit=junit, markdown=markdown, progress=True)
    if json_file != "-":
        from edgeship.benchmarks.report.terminal_table import print_checks

        print_checks(result)
    output.write_json({"bundle": bundle, "gate": result}, json_file)
    if result.verdict != "PASS":
        raise SystemExit(1)
