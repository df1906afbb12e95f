"""`edgeship teach BUNDLE`: what a device's client does with corrected answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--data", metavar="DATA", help=f"Corrected samples, the right answers in y: {options.SOURCES}.")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where a device keeps what it learns (default: BUNDLE-learned beside the bundle).",
)
@click.option(
    "--base", metavar="NAME", help="Which form of the model before its last layer, as tflite/int8 (default: the first)."
)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="Learning rate (default: what suits the features)."
)
@click.option("--passes", type=click.IntRange(min=1), help="Over the corrected samples (default: 40).")
@click.option(
    "--limit",
    type=click.FloatRange(0, 1),
    help="How far the share of right answers may fall on known samples before the old head stays (default: 0.02).",
)
@click.option("--test", metavar="DATA", help="Labelled data to show before and after of.")
@click.option("--forget", is_flag=True, help="Delete what was learned, and the corrected samples, first.")
@options.JSON
def teach(bundle: Path, json_file: str | None, **settings: Any) -> None:
    """Teach the last layer of BUNDLE (made with --head-step) from corrected answers, with the client that a device has.

    The new head is kept where it is no worse on samples that the bundle brings, and on corrected ones that are held out.

    Exit code 0 where it is kept (or all was forgotten), 1 where the old one stays, 2 for what cannot be learned from.

    \b
    Examples:
      edgeship teach bundle --data corrected.npz --test evaluation.npz
      edgeship teach bundle --forget
    """
    teaching = api.teach_bundle(bundle, **settings)
    if json_file != "-":
        print_teaching(teaching)
    output.write_json(teaching, json_file)
    if teaching.result and not teaching.result.kept:
        raise SystemExit(1)


def print_teaching(teaching: api.Teaching) -> None:
    """A table on standard output, and what holds now."""
    from rich.text import Text

    from edgeship.terminal import Column, make_console, make_table
    from edgeship.untrusted import printable

    out, result = make_console(), teaching.result
    rows: list[list[str | Text]] = []
    if result:
        rows = [
            [
                "corrected, trained with",
                str(result.samples - result.held_out),
                *_shares(result.corrected_before, result.corrected_after),
            ],
            ["corrected, held out", str(result.held_out), *_shares(result.held_out_before, result.held_out_after)],
            ["guard of the bundle", "", *_shares(result.guard_before, result.guard_after)],
        ]
    if teaching.test_now is not None:
        rows.append(["test data", "", *_shares(teaching.test_shipped, teaching.test_now)])
    if rows:
        columns = [
            Column("samples", folds=True),
            Column("n", right=True),
            Column("before", right=True),
            Column("after", right=True),
        ]
        out.print(make_table(columns, rows, out.width))
    place = printable(teaching.state)
    if result and result.kept:
        way = "" if result.share == 1 else f", {result.share:.0%} of the way,"
        text = f"kept: the head learned in {result.steps} steps{way} answers from now on; --forget goes back"
    elif result:
        old = "the head learned before" if teaching.has_learned else "the shipped head"
        text = f"not kept: {printable(result.reason)}; {old} stays"
    else:
        text = "forgotten: the shipped head answers"
    out.print(Text(f"{text} ({place}, {teaching.samples} corrected samples)"), soft_wrap=True)


def _shares(*values: float | None) -> list[str]:
    return ["-" if value is None else f"{value:.1%}" for value in values]
