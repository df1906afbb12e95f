"""What a channel's folder holds: its channels and versions, read from the targets that are signed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from edgeship.client.rule_files import parse_channel, parse_version, render_channel
from edgeship.client.rules import Channel, Version, channel_path, version_path
from edgeship.client.strict_json import RulesError, read_channel, read_name
from edgeship.deploy.channel.repository import Repository
from edgeship.errors import InputError, unknown_name_error
from edgeship.untrusted import printable

VERSION = re.compile(r"([^/]+)/([1-9][0-9]{0,9})/version\.json")
T = TypeVar("T")


def split_name(name: str) -> tuple[str, str]:
    """The two parts of `garments/stable`. Raises InputError where it is none."""
    first, _, second = name.partition("/")
    try:
        return read_name(first, "the name before '/'"), read_channel(second, "the channel after '/'")
    except RulesError as error:
        raise InputError(f"--name {printable(name)[:80]}: {error}; as garments/stable") from error


def list_channels(repository: Repository) -> list[str]:
    """The names of all channels, as `garments/stable`."""
    names = repository.targets.signed.targets
    return sorted(name.removesuffix("/channel.json") for name in names if name.endswith("/channel.json"))


def list_versions(repository: Repository, name: str) -> list[int]:
    """The versions of `name` that are there, in ascending order."""
    found = (VERSION.fullmatch(target) for target in repository.targets.signed.targets)
    return sorted(int(match[2]) for match in found if match and match[1] == name)


def find_channel(repository: Repository, name: str) -> Channel | None:
    """The rules of a channel, None where there is none of that name."""
    target = channel_path(*split_name(name))
    if target not in repository.targets.signed.targets:
        return None
    return _parse(repository, target, parse_channel, lambda rules: channel_path(rules.name, rules.channel))


def read_channel_rules(repository: Repository, name: str) -> Channel:
    """The rules of a channel. Raises InputError, with the known ones, where there is none of that name."""
    channel = find_channel(repository, name)
    if channel is None:
        raise unknown_name_error("channel", name, list_channels(repository), printable(repository.folder))
    return channel


def read_version_file(repository: Repository, name: str, version: int) -> Version:
    """What a version is. Raises InputError, with the known ones, where there is none of that number."""
    check_version(repository, name, version)
    target = version_path(name, version)
    return _parse(repository, target, parse_version, lambda found: version_path(found.name, found.version))


def describe_staleness(repository: Repository) -> tuple[str, ...]:
    """What a person should know before the folder is uploaded, where its timestamp has ended: it may be an old copy."""
    end = repository.timestamp.signed.expires
    if end > datetime.now(UTC):
        return ()
    return (f"the timestamp here ended at {end:%Y-%m-%d %H:%M} UTC: if it is renewed in a copy, fetch that first",)


def check_version(repository: Repository, name: str, version: int) -> None:
    """Raise InputError, with the known ones, for a version that is not there."""
    known = list_versions(repository, name)
    if version not in known:
        listed = ", ".join(map(str, known)) or "none"
        raise InputError(f"unknown version {version} of {name} in {printable(repository.folder)}; known: {listed}")


def encode_channel(channel: Channel) -> bytes:
    """The bytes of a channel's rules. Raises InputError for rules that no client would read."""
    try:
        return render_channel(channel)
    except RulesError as error:
        raise InputError(f"{channel.name}/{channel.channel}: {error}") from error


def _parse(repository: Repository, target: str, parse: Callable[[bytes], T], place: Callable[[T], str]) -> T:
    """What a target says, which must be of what its `place` says it is of."""
    try:
        value = parse(repository.read_target(target))
    except RulesError as error:
        raise InputError(f"{printable(repository.folder)}: {target}: {error}") from error
    if place(value) != target:
        raise InputError(f"{printable(repository.folder)}: {target} is of {place(value)}")
    return value
