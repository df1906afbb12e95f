"""`edgeship deploy rollout`: who gets a channel's version."""

from __future__ import annotations

import re
from pathlib import Path

import click

from edgeship import api
from edgeship.cli.deploy.channel.options import CHANNEL, DRY_RUN, JSON, KEYS, NAME, PERCENT, show_change


def _parse_runtimes(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Runtimes with their oldest releases."""
    for value in values:
        if not re.fullmatch(r"[^=]+=[^=]+", value):
            raise click.BadParameter(f"{value!r} is not like tflite=2.14", context, option)
    return dict(value.split("=") for value in values)


def _parse_arms(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Arms with their version and share."""
    arms = {}
    for value in values:
        match = re.fullmatch(r"([^=]+)=([0-9]{1,9}):([0-9]{1,9})", value)
        if match is None or match[1] in arms:
            raise click.BadParameter(f"{value!r} is not like control=1:50, or its name is there twice", context, option)
        arms[match[1]] = (int(match[2]), int(match[3]))
    return arms


def _check_experiment(arms: bool, described: bool, ended: bool) -> None:
    if described and not arms:
        raise click.UsageError("--experiment and --experiment-percent go with the experiment's arms (--arm).")
    if arms and ended:
        raise click.UsageError("--end-experiment does not go with arms; a new experiment replaces the one before.")


@click.command()
@CHANNEL
@NAME
@KEYS
@click.option("--percent", type=PERCENT, help="How many devices get the version; raising it keeps who has it.")
@click.option(
    "--minimum-runtime",
    "runtimes",
    metavar="RUNTIME=RELEASE",
    multiple=True,
    callback=_parse_runtimes,
    help="Only devices whose runtime is at least that, as tflite=2.14.",
)
@click.option(
    "--platform", "platforms", multiple=True, metavar="NAME", help="Only devices of this platform, as linux-x86_64."
)
@click.option(
    "--minimum-memory", "memory", type=click.IntRange(min=1), metavar="MB", help="Only devices with that memory."
)
@click.option(
    "--minimum-client", "client", type=click.IntRange(min=1), help="Only clients that understand these rules."
)
@click.option("--any-device", is_flag=True, help="Ask nothing of devices any more.")
@click.option(
    "--arm",
    "arms",
    metavar="NAME=VERSION:SHARE",
    multiple=True,
    callback=_parse_arms,
    help="An experiment's arm; two or more.",
)
@click.option("--experiment", metavar="NAME", show_default="e1", help="What an experiment with arms is called.")
@click.option("--experiment-percent", type=PERCENT, show_default="100", help="With arms: how many devices take part.")
@click.option("--end-experiment", is_flag=True, help="End the experiment: its devices follow the rollout.")
@DRY_RUN
@JSON
def rollout(
    channel: Path,
    name: str,
    keys: tuple[Path, ...],
    percent: float | None,
    runtimes: dict[str, str],
    platforms: tuple[str, ...],
    memory: int | None,
    client: int | None,
    any_device: bool,
    arms: dict[str, tuple[int, int]],
    experiment: str | None,
    experiment_percent: float | None,
    end_experiment: bool,
    dry_run: bool,
    json_file: str | None,
) -> None:
    """Change who gets the version of a channel: so many percent, devices that meet conditions, or the arms of an experiment.

    Conditions that are named replace all that were. Devices outside get the previous version.

    \b
    Examples:
      edgeship deploy rollout --channel site/channel --name garments/stable --key keys --percent 25
      edgeship deploy rollout --channel site/channel --name garments/stable --key keys --minimum-runtime tflite=2.14
      edgeship deploy rollout --channel site/channel --name garments/stable --key keys \\
        --experiment e1 --arm control=1:50 --arm treatment=2:50 --experiment-percent 20
    """
    asked = any((runtimes, platforms, memory, client))
    if asked and any_device:
        raise click.UsageError("--any-device does not go with conditions.")
    _check_experiment(bool(arms), experiment is not None or experiment_percent is not None, end_experiment)
    if percent is None and not (asked or any_device or arms or end_experiment):
        raise click.UsageError("Nothing to change: name --percent, conditions, arms, or --end-experiment.")
    conditions = api.describe_conditions(
        minimum_client=client or 1, minimum_runtime=runtimes, platforms=platforms or None, minimum_memory_mb=memory
    )
    share = 100.0 if experiment_percent is None else experiment_percent
    change = api.change_rollout(
        channel,
        name,
        keys=keys,
        percent=percent,
        conditions=conditions if asked or any_device else None,
        experiment=api.describe_experiment(name, experiment or "e1", share, arms) if arms else None,
        end_experiment=end_experiment,
        dry_run=dry_run,
    )
    show_change(change, json_file, dry_run=dry_run)
