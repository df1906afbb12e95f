"""What the commands of the registry print for people."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.text import Text

from edgeship import api
from edgeship.terminal import WIDTH, Column, make_console, make_table, wrap_text
from edgeship.untrusted import printable, printable_value

# Figures in a table of versions: heading, name, factor and decimals.
FIGURES = (
    ("server", "accuracy.server"),
    ("accuracy", "accuracy"),
    ("drop", "accuracy_drop"),
    ("bytes", "size_disk_bytes"),
)
COLOURS = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow"}
FLIPS, FLIPS_OF = 5, 2  # flipped samples of the first pairs: the server models, and what is recommended first


def print_versions(rows: Sequence[api.Version]) -> None:
    """A line a version."""
    columns = [
        Column("name"),
        Column("version", right=True),
        Column("alias"),
        Column("verdict"),
        Column("artifact", folds=True),
    ]
    columns += [Column(heading, right=True) for heading, _ in FIGURES]
    columns += [Column("added"), Column("by", folds=True)]
    body: list[list[str | Text]] = []
    for row in rows:
        record = row.record
        verdict = record.verdict or "not judged"
        figures = [_figure(record.figures.get(name)) for _, name in FIGURES]
        cells: list[str | Text] = [
            row.name,
            str(row.number),
            " ".join(row.aliases),
            Text(verdict, style=COLOURS.get(verdict, "")),
            record.artifact,
        ]
        body.append([*cells, *figures, record.added[:16].replace("T", " "), printable_value(record.who)])
    out = make_console()
    out.print(make_table(columns, body, out.width))
    click.echo(f"{len(rows):,} version{'' if len(rows) == 1 else 's'}")


def print_details(details: api.VersionDetails) -> None:
    """A version's own lines, its figures in columns, and whether it was luck."""
    row, luck = details.version, details.luck
    record = row.record
    aliases = f" ({', '.join(row.aliases)})" if row.aliases else ""
    click.echo(f"{row.name} version {row.number}{aliases}: {record.verdict or 'not judged'}")
    click.echo(f"added {record.added} by {printable(record.who)}; stands for it: {printable(record.artifact) or '-'}")
    for role, use in record.data.items():
        click.echo(f"{role} data: {printable(use.source)}, {use.samples:,} samples, {use.digest[:12]}")
    click.echo(f"server model: {record.server[:12]}{'' if record.card else ' (without a card)'}")
    for item in details.promotions:
        what = "rolled back" if item.rollback else "promoted"
        click.echo(
            f"{what} by {printable(item.who)}, {item.when}: {item.alias} {item.previous or 'none'} -> {item.version}, "
            f'"{printable(item.why)}"'
        )
    slugs = tuple(f".{name.removeprefix('recipe.')}" for name in record.texts if name.startswith("recipe."))
    names = sorted(name for name in record.figures if not name.endswith(slugs))
    body: list[list[str | Text]] = [[name, _figure(record.figures[name])] for name in names]
    out = make_console()
    out.print(make_table([Column("figure", folds=True), Column("", right=True)], body, out.width))
    more = len(record.figures) - len(names)
    click.echo(f"and {more:,} of single artifacts, as accuracy{slugs[0] if slugs else ''}: all with --json -")
    for line in luck_lines(luck):
        click.echo(wrap_text(line, WIDTH, 2))


def luck_lines(luck: api.Luck) -> list[str]:
    """Whether it was luck, in sentences."""
    counts = (luck.candidates, "version"), (luck.promotions, "promotion")
    versions, promotions = (f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in counts)
    times = f"{versions} to choose from, {promotions}"
    lines = [f"luck: the evaluation data was used for {times}"]
    figure = luck.figure
    if figure is None or figure.gain is None:
        return [*lines, f"luck: not told, {luck.reason}"]
    metric, _, _, gain, _ = _cells(figure)
    lines.append(f"luck: against version {luck.against}, {metric}: gain {gain}")
    if luck.p is None or luck.corrected is None:
        return [*lines, f"luck: no probability, {luck.reason}"]
    if figure.gain <= 0:
        return [*lines, "luck: there is no gain to explain"]
    lines.append(
        f"luck: if neither were better, chance alone would give such a gain with a probability of {luck.p:.2g}, and the best of "
        f"{luck.candidates:,} with at most {luck.corrected:.2g} ({luck.method})"
    )
    return lines


def print_lineage(found: api.Lineage) -> None:
    """Backwards first, then forwards."""
    click.echo(f"{found.name} version {found.version} was made of")
    parameters = "" if found.server.parameters is None else f", {found.server.parameters:,} parameters"
    click.echo(f"  server model {found.server.digest[:12]}{parameters}")
    for name, text in found.server.tells.items():
        click.echo(wrap_text(f"    {name}: {text}", WIDTH, 6))
    if not found.server.tells:
        click.echo("    its card is not known: how it was trained cannot be told")
    for role, use in found.data.items():
        click.echo(f"  {role} data {printable(use.source)}: {use.samples:,} samples, {use.digest[:12]}")
    for item in found.artifacts:
        click.echo(wrap_text(f"  {printable(item.artifact)}: {printable(' > '.join(item.steps))}", WIDTH, 4))
    click.echo(
        wrap_text(f"  tools: {', '.join(f'{name} {version}' for name, version in found.tools.items())}", WIDTH, 4)
    )
    click.echo("of the same were made")
    for what, others in found.shared.items():
        click.echo(wrap_text(f"  {what}: {', '.join(others) or 'nothing else'}", WIDTH, 4))


def print_difference(found: api.Difference) -> None:
    """Paired figures, flips, what differs in words, and what it costs."""
    click.echo(f"{found.name} version {found.before} -> {found.after} ({' -> '.join(found.verdicts)})")
    rows = [_cells(figure) for figure in found.paired]
    names = [_pair(figure) for figure in found.paired]
    columns = [Column("model", folds=True), Column("metric"), Column("before", right=True), Column("after", right=True)]
    columns += [Column("gain [95 %, paired]", folds=True), Column("flipped", right=True)]
    out = make_console()
    out.print(make_table(columns, [[name, *row] for name, row in zip(names, rows, strict=True)], out.width))
    for figure in found.paired[:FLIPS_OF]:
        flips = [
            f"{flip.index} (label {flip.label}: {flip.server} -> {flip.artifact})" for flip in figure.flips[:FLIPS]
        ]
        if flips:
            more = ", ..." if (figure.flips_total or 0) > FLIPS else ""
            click.echo(wrap_text(f"flipped of {_pair(figure)}: {', '.join(flips)}{more}", WIDTH, 2))
    for change in found.changes:
        click.echo(wrap_text(f"- {printable(change)}", WIDTH, 2))
    if found.costs:
        rows = [[cost.title, _figure(cost.before), _figure(cost.after)] for cost in found.costs]
        columns = [Column("figure", folds=True), Column("before", right=True), Column("after", right=True)]
        out.print(make_table(columns, rows, out.width))


def _pair(figure: api.PairedFigure) -> str:
    return printable(api.paired_figure_texts(figure)[0])


def _cells(figure: api.PairedFigure) -> list[str]:
    return list(map(printable, api.paired_figure_texts(figure)[1:]))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
