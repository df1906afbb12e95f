"""How many bytes a client downloads: assumed, or read from a channel's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeship.client.rules import Channel, ChannelFile, Conditions, Version, channel_path, version_path
from edgeship.deploy.fleet.model import HANDSHAKE_BYTES, HEAD_BYTES, Traffic
from edgeship.errors import InputError, unknown_name_error

# Of a model of 1 MB: int8, goldens of small pictures, ten versions of three artifacts in the targets. A difference is a seventh:
# int8 after light fine-tuning of all layers (docs/scale.md).
TIMESTAMP_BYTES, CHANGE_BYTES, VERSION_BYTES, DELTA_BYTES = 500, 30_000, 1_100_000, 240_000
NEW = Channel("model", "stable", 2, 1, 5.0, "model/stable/2")


def assumed_traffic() -> Traffic:
    """Sizes of a channel that is not there yet."""
    poll = HANDSHAKE_BYTES + 2 * HEAD_BYTES + TIMESTAMP_BYTES
    return Traffic(poll, CHANGE_BYTES, VERSION_BYTES, DELTA_BYTES, "assumed: a model of 1 MB, differences of a seventh")


def read_traffic(folder: Path, name: str, artifact: str) -> tuple[Traffic, Channel]:
    """The sizes of a channel's newest version for a device that runs the one before, and its rules, whose conditions all meet.

    Raises InputError for a folder that is no channel, an unknown name or artifact, and a channel with one version.
    """
    from edgeship.deploy.channel.listing import list_versions, read_channel_rules, read_version_file
    from edgeship.deploy.channel.repository import open_repository

    if not (folder / "metadata").is_dir():
        raise InputError(f"{folder} is no channel's folder, as edgeship deploy publish begins one")
    repository = open_repository(folder)
    rules = read_channel_rules(repository, name)
    older = [number for number in list_versions(repository, rules.name) if number < rules.version]
    before = rules.previous or max(older, default=None)
    if before is None:
        raise InputError(f"{name} in {folder} has no version before {rules.version}, which a rollout needs")
    new, old = (read_version_file(repository, rules.name, number) for number in (rules.version, before))
    files, known = _files(new, artifact), {file.sha256 for file in _files(old, artifact)}
    fetched = [file for file in files if file.sha256 not in known]
    targets = repository.targets.signed.targets
    signed = [channel_path(rules.name, rules.channel), version_path(rules.name, rules.version)]
    metadata = [
        folder / "metadata" / f"{item.signed.version}.{item.signed.type}.json"
        for item in (repository.snapshot, repository.targets)
    ]
    change = (
        sum(path.stat().st_size for path in metadata) + sum(targets[path].length for path in signed) + 4 * HEAD_BYTES
    )
    timestamp = (folder / "metadata/timestamp.json").stat().st_size
    return Traffic(
        HANDSHAKE_BYTES + 2 * HEAD_BYTES + timestamp,
        change,
        sum(file.size + HEAD_BYTES for file in fetched),
        sum(_delta_size(file, known) + HEAD_BYTES for file in fetched),
        f"{name} in {folder}: version {rules.version} after {before}, {artifact}",
    ), replace(rules, previous=before, paused=False, withdrawn=(), conditions=Conditions())


def _files(version: Version, artifact: str) -> tuple[ChannelFile, ...]:
    if artifact not in version.artifacts:
        raise unknown_name_error("artifact", artifact, version.artifacts, f"version {version.version}")
    return (*version.shared, *version.artifacts[artifact].files)


def _delta_size(file: ChannelFile, known: set[str]) -> int:
    """What a device downloads of a file that has the old ones."""
    return min([file.size, *(patch.size for patch in file.patches if patch.base in known)])
