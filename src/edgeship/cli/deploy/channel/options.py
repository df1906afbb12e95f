"""Options that the commands of a channel share, and what they print."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

CHANNEL = click.option(
    "--channel", type=click.Path(path_type=Path), required=True, help="The channel's folder, for a web server."
)
NAME = click.option("--name", metavar="NAME", required=True, help="Which channel, as garments/stable.")
KEYS = click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="A folder of keygen, or one key's file; several where several must sign.",
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only tell what would change.")
PERCENT = click.FloatRange(0, 100)
__all__ = ["CHANNEL", "DRY_RUN", "JSON", "KEYS", "NAME", "PERCENT", "show_change", "show_status"]


def show_change(change: api.ChannelChange, json_file: str | None, *, dry_run: bool = False) -> None:
    """What a channel's rules were and are, on standard output, and as JSON."""
    from edgeship.untrusted import printable

    if json_file != "-":
        before, after = change.before, change.after
        was = f" (was {_describe(before)})" if before and before != after else ""
        would = "would be " if dry_run and before != after else ""
        click.echo(f"{printable(after.name)}/{printable(after.channel)}: {would}{_describe(after)}{was}")
        for note in change.notes:
            click.echo(f"  {printable(note)}")
        if change.written:
            click.echo(
                f"  written: {len(change.written)} files; to upload: targets, then metadata, timestamp.json last"
            )
    write_json({"change": change, "dry_run": dry_run}, json_file)


def _describe(rules: api.Channel) -> str:
    parts = [f"version {rules.version} at {rules.percent:g} %"]
    parts += [f"previous {rules.previous}"] if rules.previous else []
    parts += ["paused"] if rules.paused else []
    parts += [f"withdrawn {', '.join(map(str, rules.withdrawn))}"] if rules.withdrawn else []
    if rules.experiment:
        arms = ", ".join(f"{arm.name} {arm.version}" for arm in rules.experiment.arms)
        parts.append(f"experiment {rules.experiment.name} at {rules.experiment.percent:g} % ({arms})")
    conditions = rules.conditions
    asked = [f"{name} {release}" for name, release in conditions.minimum_runtime.items()]
    asked += [f"client {conditions.minimum_client}"] if conditions.minimum_client > 1 else []
    asked += [f"{conditions.minimum_memory_mb} MB"] if conditions.minimum_memory_mb else []
    asked += [f"on {' or '.join(conditions.platforms)}"] if conditions.platforms is not None else []
    return ", ".join([*parts, *([f"needs {' and '.join(asked)}"] if asked else [])])


def show_status(status: api.FolderStatus, json_file: str | None) -> None:
    """Tables of the channels and of the roles' ends, and what to see to, on standard output; all as JSON."""
    from edgeship.terminal import Column, make_console, make_table
    from edgeship.untrusted import printable

    if json_file != "-":
        out = make_console()
        for channel in status.channels:
            there = ", ".join(map(str, channel.versions))
            click.echo(f"{printable(channel.name)}: {_describe(channel.rules)}; there: {there}")
        body = [
            [
                item.role,
                str(item.version),
                f"{item.threshold} of {len(item.keys)}",
                item.expires,
                _describe_left(item.seconds_left),
            ]
            for item in status.roles
        ]
        heads = [
            Column("role"),
            Column("version", right=True),
            Column("keys"),
            Column("expires"),
            Column("in", right=True),
        ]
        out.print(make_table(heads, body, out.width))
        if status.renewed:
            click.echo(f"signed anew: {', '.join(status.renewed)}")
        for problem in status.problems:
            click.echo(f"problem: {printable(problem)}")
    write_json({"status": status}, json_file)


def _describe_left(seconds: int) -> str:
    if seconds <= 0:
        return "expired"
    return f"{seconds / 86400:.0f} d" if seconds >= 2 * 86400 else f"{seconds / 3600:.0f} h"
