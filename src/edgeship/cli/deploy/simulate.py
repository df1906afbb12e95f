"""`edgeship deploy simulate`: a rollout on a fleet that is made up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

ROWS = 16  # of the table of adoption


def _split_steps(context: click.Context, option: click.Parameter, value: str) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((float(hour), float(percent)) for hour, percent in (part.split(":") for part in value.split(",")))
    except ValueError as error:
        raise click.BadParameter("must be HOUR:PERCENT, comma-separated, as 0:5,12:25,24:100") from error


def _read_hour(context: click.Context, option: click.Parameter, value: str) -> float | None:
    try:
        return None if value == "never" else float(value)
    except ValueError as error:
        raise click.BadParameter("must be an hour, or never") from error


@click.command()
@click.option("--clients", type=click.IntRange(min=1), default=100_000, show_default=True, help="How many devices.")
@click.option("--hours", type=click.IntRange(min=1), default=96, show_default=True, help="How long.")
@click.option("--poll-hours", type=float, default=6.0, show_default=True, help="From one poll of a device to the next.")
@click.option("--offline", type=float, default=0.2, show_default=True, help="Share of devices off at any moment.")
@click.option(
    "--rollout",
    metavar="HOUR:PERCENT,...",
    default="0:5,12:25,24:100",
    show_default=True,
    callback=_split_steps,
    help="When how many get the new version.",
)
@click.option(
    "--rollback",
    "rollback_hour",
    metavar="HOUR",
    default="48",
    show_default=True,
    callback=_read_hour,
    help="When it is withdrawn; never.",
)
@click.option("--channel", type=click.Path(path_type=Path), help="A channel's folder to read sizes and rules from.")
@click.option("--name", metavar="NAME/CHANNEL", help="With --channel: which one, as garments/stable.")
@click.option("--artifact", metavar="ID", help="With --channel: what devices take, as tflite/int8.")
@click.option("--picture", type=click.Path(path_type=Path), help="An SVG to draw.")
@JSON
def simulate(
    clients: int,
    hours: int,
    poll_hours: float,
    offline: float,
    rollout: tuple[tuple[float, float], ...],
    rollback_hour: float | None,
    channel: Path | None,
    name: str | None,
    artifact: str | None,
    picture: Path | None,
    json_file: str | None,
) -> None:
    """Show what a rollout and a rollback do to devices and to the web server: adoption, bytes a day, the cost of polling.

    Each device decides as its client would (docs/scale.md); times, sizes and failures are a model, which the table states.

    \b
    Examples:
      edgeship deploy simulate
      edgeship deploy simulate --rollout 0:1,24:10,48:100 --rollback never --hours 120
      edgeship deploy simulate --channel site/channel --name garments/stable --artifact tflite/int8
    """
    result = api.simulate_fleet(
        clients=clients,
        hours=hours,
        poll_hours=poll_hours,
        offline=offline,
        rollout=rollout,
        rollback_hour=rollback_hour,
        channel=channel,
        name=name,
        artifact=artifact,
    )
    if picture:
        api.write_fleet_picture(result, picture)
    if json_file != "-":
        print_fleet(result)
    write_json(result, json_file)


def print_fleet(result: api.FleetResult) -> None:
    """Tables on standard output."""
    from edgeship.terminal import Column, make_console, make_table
    from edgeship.untrusted import printable

    out, fleet = make_console(), result.fleet
    out.print(
        f"{fleet.clients:,} devices, simulated: a poll every {fleet.poll_hours:g} h, {fleet.offline:.0%} off at any moment for "
        f"{fleet.offline_hours:g} h on average, {fleet.failures:.0%} of polls and downloads fail, the self-test on "
        f"{fleet.selftest_failures:.1%} of devices. Sizes: {printable(result.traffic.source)}.",
        highlight=False,
        markup=False,
    )
    places = range(0, len(result.adoption), max(len(result.adoption) // ROWS, 1))
    points = [result.adoption[place] for place in places]
    rows = [[f"{point.hour:.0f}", f"{point.percent:g} %", f"{100 * point.share:.1f} %"] for point in points]
    out.print(make_table([Column("hour"), Column("published to"), Column("run it")], rows, out.width))
    days = [
        [str(day.day), f"{day.polls:,}", *map(_megabytes, (day.poll_bytes, day.whole_bytes, day.delta_bytes))]
        for day in result.days
    ]
    names = ("day", "polls", "polling MB", "versions, whole MB", "versions, differences MB")
    out.print(make_table([Column(text) for text in names], days, out.width))
    click.echo(f"of all devices, ran it after the publication: {_hours(result.adopted)}")
    if result.rollback:
        click.echo(f"of those that ran it, left it after the rollback: {_hours(result.rollback)}")
    polling = result.polling
    click.echo(
        f"polling by {polling.clients:,}: {polling.requests_per_second:,.0f} requests/s (at most "
        f"{polling.peak_requests_per_second:,.0f}), {polling.bytes_per_month / 1e12:.2f} TB a month"
    )


def _hours(times: Iterable[api.ReachTime]) -> str:
    waits = ((item.share, "-" if item.hours is None else f"{item.hours:.1f} h") for item in times)
    return ", ".join(f"{share:.0%} {wait}" for share, wait in waits)


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f}"
