"""`edgeship worth`: client or server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--network",
    default="server-4g",
    show_default=True,
    metavar="NAME",
    help="That of most users: server-local, server-lan, server-4g, server-3g-bad, or a .toml of a server's device.",
)
@click.option("--limit-ms", type=float, default=100.0, show_default=True, help="How late the 99th percentile may be.")
@click.option("--users", type=float, default=10_000, show_default=True, help="How many users.")
@click.option("--inferences-a-day", type=float, default=20.0, show_default=True, help="Of each user.")
@click.option("--offline", is_flag=True, help="It has to work without a network.")
@click.option(
    "--device", metavar="NAME", help="Whose time is the client's (default: the slowest device of the bundle)."
)
@click.option("--prices", type=click.Path(path_type=Path), help="Your prices (.toml; default: dated assumptions).")
@click.option(
    "--server",
    metavar="URL",
    help="What to measure: http://HOST:PORT/MODEL, a server that runs the artifact (OIP v2); local: one is started for it "
    "(default: nothing, the times in the bundle).",
)
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path),
    help="The key that --server asks for, in the first line of a file.",
)
@click.option(
    "--train",
    type=click.Path(path_type=Path),
    help="Training data, for the membership attack (default: train.npz or calibration.npz beside the bundle).",
)
@click.option("--page", type=click.Path(path_type=Path), help="An HTML page to write, with pictures.")
@JSON
def worth(bundle: Path, page: Path | None, json_file: str | None, **options: Any) -> None:
    """Decide whether BUNDLE's model should run on its users' devices or on a server, and say what would change that.

    Latency as users have it, bytes, cost, accuracy, what leaves the device, what the file gives away, and how long updates
    take; each figure with its kind. Networks are simulated, prices assumed: see docs/serving/worth.md.

    \b
    Examples:
      edgeship worth bundle
      edgeship worth bundle --network server-lan --users 500 --inferences-a-day 200 --page worth.html
      edgeship worth bundle --server local --prices ours.toml
    """
    found = api.compare_with_server(bundle, **options)
    if page:
        api.write_worth_page(found, page)
    if json_file != "-":
        _print_worth(bundle, found, page)
    write_json(found, json_file)


def _print_worth(bundle: Path, found: api.Worth, page: Path | None) -> None:
    from edgeship.terminal import Column, make_console, make_table, wrap_text
    from edgeship.untrusted import printable

    text, out = api.describe_worth(found), make_console()
    click.echo(wrap_text(text.headline, out.width))
    for reason in text.reasons:
        click.echo(wrap_text(f"- {reason}", out.width, 2))
    sides = [[row.what, row.client, row.server] for row in text.sides]
    heads = [Column(name, folds=True) for name in ("", "client", "server")]
    out.print(make_table(heads, sides, out.width))
    for table in text.tables:
        if table.rows:
            click.echo()
            heads = [Column(name, right=name.startswith("p"), folds=not name.startswith("p")) for name in table.columns]
            out.print(make_table(heads, table.rows, out.width))
    click.echo()
    if found.decision.choice == "undecided":
        click.echo(f"what is missing is measured on a quiet machine: edgeship benchmark {printable(bundle)}")
    click.echo("what would change it:" if text.changes else "nothing that was looked at would change it")
    for change in text.changes:
        click.echo(wrap_text(f"- {change}", out.width, 2))
    click.echo()
    for note in text.notes:
        click.echo(wrap_text(note, out.width))
    if page:
        click.echo(f"page: {printable(page)}")
