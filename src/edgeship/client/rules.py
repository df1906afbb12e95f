"""The rules of a channel, what a version is made of, and which version a device runs by them.

A client and the command line share this file, and a page has the same in TypeScript; standard library only.
docs/deploy/channel.md tells the rules, `rule_files` reads them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

SCHEMA = 1
CLIENT = 1  # of the rules that are understood here: what `minimum_client` asks for
BUCKETS = 10_000
_RELEASE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}")


@dataclass(frozen=True)
class Conditions:
    """What a device must have for the new version.

    `minimum_runtime`: the oldest release by the name of a runtime, for the devices that use it. None: any platform, any memory.
    """

    minimum_client: int = 1
    minimum_runtime: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] | None = None
    minimum_memory_mb: int | None = None


@dataclass(frozen=True)
class Arm:
    """An arm of an experiment: its version, and its share of the sum of all shares."""

    name: str
    version: int
    share: int


@dataclass(frozen=True)
class Experiment:
    """Devices in the first `percent` by `salt` are parted among the arms."""

    name: str
    salt: str
    percent: float
    arms: tuple[Arm, ...]


@dataclass(frozen=True)
class Channel:
    """The rules of a channel. `percent` of the devices get `version`, the others `previous`; `withdrawn` nobody gets."""

    name: str
    channel: str
    version: int
    previous: int | None
    percent: float
    salt: str
    paused: bool = False
    withdrawn: tuple[int, ...] = ()
    conditions: Conditions = field(default_factory=Conditions)
    experiment: Experiment | None = None
    schema: int = SCHEMA

    @property
    def versions(self) -> frozenset[int]:
        """Every version that a device may be given by these rules."""
        arms = self.experiment.arms if self.experiment else ()
        named = {self.version, self.previous, *(arm.version for arm in arms)} - {None, *self.withdrawn}
        return frozenset(version for version in named if version is not None)


@dataclass(frozen=True)
class Device:
    """What a device knows of itself. `runtimes`: the release of the runtime that it uses, by its name; None: not known."""

    id: str
    runtimes: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    memory_mb: int | None = None
    client: int = CLIENT


@dataclass(frozen=True)
class Patch:
    """The difference (`kind`) from a file with the sha256 `base`: its own sha256 and size in bytes."""

    base: str
    sha256: str
    size: int
    kind: str = "bsdiff4"


@dataclass(frozen=True)
class ChannelFile:
    """A file of a version: where it lies in the bundle, sha256 and size in bytes of the content."""

    path: str
    sha256: str
    size: int
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True)
class ChannelArtifact:
    """An artifact: its format, the file that a runtime opens, and all files that no other artifact needs."""

    format: str
    entry: str
    files: tuple[ChannelFile, ...]


@dataclass(frozen=True)
class Version:
    """What a version is. A client takes `shared` and the files of one artifact. `created`: ISO 8601 with its zone."""

    name: str
    version: int
    server_model: str
    created: str
    labels: tuple[str, ...]
    artifacts: Mapping[str, ChannelArtifact]
    shared: tuple[ChannelFile, ...] = ()
    schema: int = SCHEMA


def channel_path(name: str, channel: str) -> str:
    """The target path of a channel's rules."""
    return f"{name}/{channel}/channel.json"


def version_path(name: str, version: int) -> str:
    """The target path of what a version is."""
    return f"{name}/{version}/version.json"


def signature_path(name: str, version: int) -> str:
    """The target path of the signature of a version's bundle, where it is signed."""
    return f"{name}/{version}/signature.json"


def file_path(name: str, sha256: str) -> str:
    """The target path of a file or patch with that content."""
    return f"{name}/files/{sha256}"


# The choice


def bucket(salt: str, device: str) -> int:
    """Where a device falls, in 0..9999: the first 8 hexadecimal digits of sha256(salt + "/" + device), modulo 10,000."""
    return int(hashlib.sha256(f"{salt}/{device}".encode()).hexdigest()[:8], 16) % BUCKETS


def to_hundredths(percent: float) -> int:
    """A percentage in whole hundredths, as buckets are compared with it."""
    return round(percent * 100)


def choose_version(
    channel: Channel, device: Device, running: int | None = None, failed: Collection[int] = ()
) -> int | None:
    """The version that a device is to run, None where the channel has none for it.

    A device that runs another version keeps it where this is None, unless that is withdrawn. `failed`: versions whose self-test
    failed on this device; they count as withdrawn.
    """
    refused = {*channel.withdrawn, *failed}
    for version in (_wanted_version(channel, device, running), channel.previous):
        if version is not None and version not in refused:
            return version
    return None


def _wanted_version(channel: Channel, device: Device, running: int | None) -> int | None:
    if not meets_conditions(channel.conditions, device):
        return channel.previous
    arm = choose_arm(channel, device.id)
    if arm:
        return arm.version
    if channel.paused:
        return running if running == channel.version else channel.previous
    return channel.version if bucket(channel.salt, device.id) < to_hundredths(channel.percent) else channel.previous


def choose_arm(channel: Channel, device: str) -> Arm | None:
    """The arm of the channel's experiment that a device with that id is in, None for one outside."""
    experiment = channel.experiment
    if experiment is None or bucket(experiment.salt, device) >= to_hundredths(experiment.percent):
        return None
    place = bucket(f"{experiment.salt}/arm", device) * sum(arm.share for arm in experiment.arms)
    reached = 0
    for arm in experiment.arms:
        reached += arm.share
        if place < reached * BUCKETS:
            return arm
    return None


def meets_conditions(conditions: Conditions, device: Device) -> bool:
    """Whether a device has what is asked for. A platform, memory or release that it does not know counts as missing.

    A runtime that it does not use hinders nothing: a channel carries the formats of all runtimes.
    """
    if device.client < conditions.minimum_client:
        return False
    if conditions.platforms is not None and device.platform not in conditions.platforms:
        return False
    if conditions.minimum_memory_mb is not None and (device.memory_mb or 0) < conditions.minimum_memory_mb:
        return False
    asked = conditions.minimum_runtime
    return all(_is_release(used, asked[name]) for name, used in device.runtimes.items() if name in asked)


def _is_release(used: str, oldest: str) -> bool:
    """Whether a release is at least that one, part by part as numbers; "2.14.0rc1" is 2.14.0, and what has no number none."""
    match = _RELEASE.match(used)
    return match is not None and _release_parts(match[0]) >= _release_parts(oldest)


def _release_parts(release: str) -> tuple[int, ...]:
    parts = [int(part) for part in release.split(".")]
    return (*parts, *([0] * (6 - len(parts))))
