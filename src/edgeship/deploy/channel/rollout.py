"""How the rules of a channel change: a new version, more devices, a pause, the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgeship.client.rules import CLIENT, Channel, Conditions, Experiment, channel_path
from edgeship.client.selftest.runtimes import RUNTIMES
from edgeship.deploy.channel import listing
from edgeship.deploy.channel.repository import locked, open_for_changes
from edgeship.deploy.channel.signers import Signers
from edgeship.deploy.channel.writing import Changes, commit
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass

MOST_WITHDRAWN = 1000
KNOWN_RUNTIMES = {item.name for items in RUNTIMES.values() for item in items} | {"tfjs"}  # the last of pages


@dataclass(frozen=True)
class ChannelChange:
    """The rules of a channel before and after a change (`before`: None for a new channel), and notes for people.

    `written`: the files that are new in the folder, in the order in which they must reach the web server; none on a dry run.
    """

    folder: Path
    before: Channel | None
    after: Channel
    notes: tuple[str, ...] = ()
    written: tuple[str, ...] = ()


def release_version(before: Channel | None, name: str, channel: str, version: int, percent: float) -> Channel:
    """The rules under which `percent` of the devices get a new version, the others what all of them had before.

    Raises InputError for a channel that is paused, and for a version that is not newer.
    """
    salt = f"{name}/{channel}/{version}"
    if before is None:
        return Channel(name, channel, version, None, percent, salt)
    if before.paused:
        raise InputError(
            f"{name}/{channel} is paused at version {before.version}; `deploy resume` or `deploy rollback` comes first"
        )
    if version <= before.version or version in before.withdrawn:
        raise InputError(
            f"version {version} is not newer than {before.version}, which {name}/{channel} is at; "
            f"`deploy rollback --to {version}` goes back to it"
        )
    return replace(before, version=version, previous=_version_of_all(before), percent=percent, salt=salt)


def _version_of_all(rules: Channel) -> int | None:
    """What all devices have: the version where its rollout is finished, else the one before it."""
    return rules.version if rules.percent == 100 and not rules.paused else rules.previous


def change_rollout(
    before: Channel,
    *,
    percent: float | None = None,
    conditions: Conditions | None = None,
    experiment: Experiment | None = None,
    end_experiment: bool = False,
) -> Channel:
    """The rules with another percentage, other conditions, an experiment begun, widened or ended; what is None stays.

    Raises InputError for a percentage of a paused channel, and for another draw under the name of the experiment that runs.
    """
    name = f"{before.name}/{before.channel}"
    if percent is not None and before.paused:
        raise InputError(f"{name} is paused at {before.percent:g} %; `deploy resume` comes first")
    running = before.experiment
    if experiment and running and experiment.name == running.name and experiment.arms != running.arms:
        raise InputError(
            f"{name}: experiment {running.name} runs with other arms, and its devices would change sides; "
            "give the new one another name"
        )
    return replace(
        before,
        percent=before.percent if percent is None else percent,
        conditions=before.conditions if conditions is None else conditions,
        experiment=None if end_experiment else experiment or running,
    )


def pause(before: Channel, *, paused: bool = True) -> Channel:
    """The rules under which no further device gets the version, and who has it keeps it; or with that ended."""
    return replace(before, paused=paused)


def roll_back(before: Channel, to: int | None = None) -> Channel:
    """The rules under which every device runs an older version, and leaves the present one at once; experiments end.

    `to`: which (default: the previous one); a later one, which was left by mistake, is brought back, and the present one is then
    before it. Raises InputError where there is none to go back to.
    """
    name = f"{before.name}/{before.channel}"
    target = before.previous if to is None else to
    if target is None:
        raise InputError(
            f"{name}: version {before.version} has no previous one; `deploy pause` keeps further devices from it, "
            "`--to N` names any version that is there"
        )
    if target == before.version and before.percent == 100 and not before.paused and not before.experiment:
        raise InputError(f"{name} is at version {target} already, for all devices")
    left = set(before.withdrawn) | ({before.version} if target < before.version else set())
    return replace(
        before,
        version=target,
        previous=_version_of_all(before) if target > before.version else None,
        percent=100.0,
        paused=False,
        withdrawn=tuple(sorted(left - {target})[-MOST_WITHDRAWN:]),
        experiment=None,
    )


def change_rules(
    folder: Path, signers: Signers, name: str, change: Callable[[Channel], Channel], *, dry_run: bool
) -> ChannelChange:
    """Write a channel's rules as `change` makes them; with `dry_run` only tell what they would be.

    Raises InputError for an unknown channel or version, for rules that cannot be, and for missing keys: then nothing is changed.
    """
    with locked(folder):
        repository = open_for_changes(folder, signers.root_keys())
        before = listing.read_channel_rules(repository, name)
        after = change(before)
        for version in sorted(after.versions):
            listing.check_version(repository, after.name, version)
        content = listing.encode_channel(after)
        signers.check(repository.root.signed, ("targets", "snapshot", "timestamp"))
        written: tuple[str, ...] = ()
        notes = (*listing.describe_staleness(repository), *_notes(before, after))
        if not dry_run and after != before:
            written = commit(repository, signers, Changes({channel_path(after.name, after.channel): content}))
        return ChannelChange(folder, before, after, notes, written)


def _notes(before: Channel, after: Channel) -> tuple[str, ...]:
    notes = []
    if after == before:
        notes.append("nothing to do: the rules are so already")
    if after.paused and after.experiment:
        notes.append(f"experiment {after.experiment.name} goes on; `deploy rollout --end-experiment` ends it")
    if before.experiment and not after.experiment:
        notes.append(f"experiment {before.experiment.name} is over: its devices follow the rollout")
    if unknown := sorted(after.conditions.minimum_runtime.keys() - KNOWN_RUNTIMES):
        known = ", ".join(sorted(KNOWN_RUNTIMES))
        notes.append(f"no client of edgeship has a runtime '{unknown[0]}', and asks for nothing there; known: {known}")
    if after.conditions.minimum_client > CLIENT:
        notes.append(f"clients of this edgeship are {CLIENT}: none of them gets version {after.version}")
    if after.version != before.version and after.conditions != Conditions():
        notes.append("the conditions stay as they were; devices that do not meet them keep what they have")
    return tuple(notes)
