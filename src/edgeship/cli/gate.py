"""`edgeship gate BUNDLE`: judge a measured bundle by its budget."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship.cli import options

PATH = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Judge a measured bundle by its budget.")
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
    from dataclasses import replace

    from edgeship.benchmarks.gate.budget import Budget
    from edgeship.benchmarks.gate.gate import judge
    from edgeship.bundle.bundle import MANIFEST, open_bundle
    from edgeship.settings.config import Config
    from edgeship.untrusted import reading

    opened = open_bundle(bundle)
    given = Config.read(config) if config else None
    texts = {}
    with reading(opened.root / MANIFEST):  # its figures may be none
        settings = given or Config.restore(opened.manifest.config)
        result = judge(opened.manifest, Budget.parse(settings.budget, settings.source))
        judged = replace(opened.manifest, gate=result)
        if junit:
            from edgeship.benchmarks.report.junit import render as render_junit

            texts[junit] = render_junit(judged)
        if markdown:
            from edgeship.benchmarks.report.markdown import render as render_markdown

            texts[markdown] = render_markdown(judged)
    for path, text in texts.items():
        options.write_text(path, text)
    if json_file != "-":
        from edgeship.benchmarks.report.terminal_table import print_checks

        print_checks(result)
    options.emit({"bundle": bundle, "gate": result}, json_file)
    if result.verdict != "PASS":
        raise SystemExit(1)
