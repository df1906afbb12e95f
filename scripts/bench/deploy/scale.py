"""What fleets cost, by the simulation of `edgeship deploy simulate`: writes docs/results/scale.md."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from edgeship.deploy.fleet.model import Fleet, FleetResult, ReachTime, Rollout
from edgeship.deploy.fleet.picture import draw_fleet
from edgeship.deploy.fleet.simulate import LARGE_FLEET, simulate_fleet
from edgeship.deploy.fleet.traffic import NEW, assumed_traffic
from scripts import RESULTS

POLLS = (1.0, 6.0, 24.0)
OFFLINE = (0.0, 0.2, 0.5)
AT_ONCE = Rollout(((0.0, 100.0),), 168.0)


def hours(times: Iterable[ReachTime]) -> str:
    """Times as cells."""
    return " | ".join("-" if item.hours is None else f"{item.hours:.1f} h" for item in times)


def at_once() -> list[str]:
    """Rows: a version for all at hour 0, withdrawn after a week."""
    rows = []
    for poll in POLLS:
        for offline in OFFLINE:
            fleet = Fleet(hours=336, poll_hours=poll, offline=offline)
            result = simulate_fleet(fleet, AT_ONCE, assumed_traffic(), NEW)
            polling = result.polling
            rows.append(
                f"| {poll:g} h | {offline:.0%} | {hours(result.adopted[:2])} | {hours(result.rollback)} | "
                f"{polling.requests_per_second:,.0f} | {polling.peak_requests_per_second:,.0f} | "
                f"{polling.bytes_per_month / 1e12:.1f} TB |"
            )
    return rows


def in_steps() -> tuple[FleetResult, list[str]]:
    """The default rollout, and rows: what each day takes from the server, scaled to the large fleet."""
    result = simulate_fleet(Fleet(), Rollout(), assumed_traffic(), NEW)
    scale = LARGE_FLEET / result.fleet.clients / 1e12
    rows = [
        f"| {day.day} | {day.poll_bytes * scale:.2f} TB | {day.whole_bytes * scale:.2f} TB | {day.delta_bytes * scale:.2f} TB |"
        for day in result.days
    ]
    return result, rows


def describe(result: FleetResult) -> str:
    """What was assumed."""
    fleet, traffic = result.fleet, result.traffic
    return (
        f"{fleet.clients:,} devices decide by the clients' own `choose_version`; totals are scaled to 10 million. Assumed: "
        f"{fleet.failures:.0%} of polls and downloads fail and wait for the next poll; devices that are off stay off for "
        f"{fleet.offline_hours:g} h on average (exponential); the self-test fails on {fleet.selftest_failures:.1%} of them; "
        f"polls are spread by {fleet.jitter:.0%} to either side; the timestamp is signed anew each {fleet.refresh_hours:g} h. "
        f"Bytes of a poll {traffic.poll:,} (4,000 of them a TLS handshake), of new metadata {traffic.change:,}, of a version "
        f"{traffic.version:,}, with differences {traffic.delta:,} ({traffic.source})."
    )


def main() -> None:
    """Write the page and its picture."""
    result, days = in_steps()
    (RESULTS / "fleet.svg").write_text(draw_fleet(result), encoding="utf-8")
    left = ", ".join(f"{item.share:.0%} after {item.hours:.1f} h" for item in result.rollback if item.hours)
    lines = [
        "# A fleet, simulated",
        "",
        f"Made by `python -m scripts.bench.deploy.scale` on {date.today():%d %B %Y}. Every figure is *simulated*. "
        f"{describe(result)}",
        "",
        "## In steps: 5 % at once, 25 % after 12 hours, all after 24, withdrawn after 48",
        "",
        "![adoption and bytes](fleet.svg)",
        "",
        "| day | polling | versions, whole files | versions, differences |",
        "|---|---|---|---|",
        *days,
        "",
        f"Of the devices that ran it when it was withdrawn, so many had left it: {left}.",
        "",
        "## At once, withdrawn after a week",
        "",
        "Requests are those of 10 million devices in a second, on average and in the busiest quarter of an hour.",
        "",
        "| poll each | off | 50 % run it | 95 % | rollback 50 % | 95 % | 99 % | requests/s | at most | polling a month |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *at_once(),
        "",
    ]
    (RESULTS / "scale.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
