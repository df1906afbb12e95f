"""`edgeship label`: a page to label samples by keyboard, and what two annotators make of them."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON, split_names
from edgeship.cli.output import write_json

PATH = click.Path(path_type=Path)
SHOWN = 20


@click.command()
@click.argument("samples", type=PATH)
@click.option(
    "--table", type=PATH, help="The CSV of samples to label, as `select` writes it (default: SAMPLES/samples.csv)."
)
@click.option("--out", type=PATH, help="The labels, a CSV (default: labels.csv beside the table).")
@click.option("--annotator", default="one", show_default=True, help="Who labels; several may, into the same file.")
@click.option(
    "--bundle", type=PATH, help="Whose classes and inputs they are; with --check it says which labels are unlikely."
)
@click.option(
    "--classes", callback=split_names, metavar="NAMES", help="Comma-separated, where no bundle says which there are."
)
@click.option(
    "--check", is_flag=True, help="Serve no page: say how far annotators agree, and which labels are likely wrong."
)
@click.option("--again", is_flag=True, help="First ask again for labels that are likely wrong (needs --bundle).")
@click.option("--port", type=click.IntRange(0, 65535), default=8770, show_default=True, help="0: any free port.")
@JSON
def label(
    samples: Path, table: Path | None, out: Path | None, annotator: str, bundle: Path | None, classes: tuple[str, ...] | None,
    check: bool, again: bool, port: int, json_file: str | None,
) -> None:  # fmt: skip
    """Label SAMPLES on a page on this machine: a key for each class, u takes back, s leaves a sample for later.

    SAMPLES: a folder with samples.csv and NAME.npz, or an .npz. Every answer is kept at once; what is labelled is not asked
    again.

    \b
    Examples:
      edgeship label inbox/samples --table pool.csv --bundle bundle --annotator anna
      edgeship label inbox/samples --table pool.csv --bundle bundle --check
    """
    table = table or samples / "samples.csv"
    if check:
        place = out or table.with_name("labels.csv")
        found = api.check_labels(samples, place, bundle=bundle, classes=classes or ())
        if json_file != "-":
            _print_check(found)
        write_json(found, json_file)
        return
    with api.open_labelling(
        samples, table, annotator=annotator, bundle=bundle, classes=classes or (), out=out, again=again, port=port
    ) as server:
        if json_file != "-":
            click.echo(f"label: {server.url}  (Ctrl-C ends it)")
        write_json({"url": server.url}, json_file)
        try:
            server.serve()
        except KeyboardInterrupt:
            click.echo("ended; every answer is kept", err=True)


def _print_check(found: api.LabelCheck) -> None:
    from edgeship.untrusted import printable

    for who, count in found.agreement.labels.items():
        click.echo(f"{printable(who) or '(no name)'}: {count:,} labels")
    for pair in found.agreement.pairs:
        kappa = "not defined" if pair.kappa is None else f"{pair.kappa:.2f}"
        names = f"{printable(pair.first)} and {printable(pair.second)}"
        click.echo(f"{names}: {pair.same:.1%} the same of {pair.samples:,}, Cohen's kappa {kappa}")
    for item in found.agreement.disagreements[:SHOWN]:
        said = ", ".join(f"{printable(who)}: {printable(text)}" for who, text in item.labels)
        click.echo(f"differ on {printable(item.sample)}: {said}")
    for suspect in found.suspects[:SHOWN]:
        click.echo(
            f"likely wrong: {printable(suspect.sample)} is {printable(suspect.given)} ({suspect.chance_given:.1%}), "
            f"the model says {printable(suspect.likely)} ({suspect.chance_likely:.1%})"
        )
    hidden = max(0, len(found.suspects) - SHOWN) + max(0, len(found.agreement.disagreements) - SHOWN)
    if hidden:
        click.echo(f"and {hidden:,} more (--json has all)")
