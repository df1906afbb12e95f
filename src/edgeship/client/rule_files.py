"""`channel.json` and `version.json`, read and written. Both are a stranger's until every key was checked."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import fields
from pathlib import PurePosixPath
from typing import Any

from edgeship.client.rules import (
    SCHEMA,
    Arm,
    Channel,
    ChannelArtifact,
    ChannelFile,
    Conditions,
    Experiment,
    Patch,
    Version,
)
from edgeship.client.strict_json import (
    MOST_VERSION,
    Json,
    RulesError,
    parse_json,
    read_artifact_id,
    read_boolean,
    read_channel,
    read_digest,
    read_label,
    read_list,
    read_mapping,
    read_moment,
    read_name,
    read_object,
    read_percent,
    read_place,
    read_release,
    read_text,
    read_version,
    read_whole,
)

CHANNEL_BYTES, VERSION_BYTES = 1 << 16, 1 << 24  # of the files themselves
FILE_BYTES, PATCH_BYTES = 8 << 30, 64 << 20
MOST_SHARE, MOST_ARMS, MOST_WITHDRAWN = 10_000, 16, 1000
MOST_ARTIFACTS, MOST_FILES, MOST_LABELS, MOST_PATCHES = 200, 10_000, 100_000, 16


def parse_channel(content: bytes) -> Channel:
    """The rules in a `channel.json`. Raises RulesError."""
    value = read_object(parse_json(content, CHANNEL_BYTES, "channel.json", SCHEMA), "channel.json", Channel)
    conditions, experiment = value["conditions"], value["experiment"]
    parsed = Channel(
        name=read_name(value["name"], "name"),
        channel=read_channel(value["channel"], "channel"),
        version=read_version(value["version"], "version"),
        previous=None if value["previous"] is None else read_version(value["previous"], "previous"),
        percent=read_percent(value["percent"], "percent"),
        salt=read_text(value["salt"], "salt"),
        paused=read_boolean(value["paused"], "paused"),
        withdrawn=read_list(value["withdrawn"], "withdrawn", MOST_WITHDRAWN, read_version),
        conditions=_conditions(conditions),
        experiment=None if experiment is None else _experiment(experiment),
    )
    if parsed.previous == parsed.version:
        raise RulesError(f"channel.json: previous is the version itself ({parsed.version})")
    return parsed


def parse_version(content: bytes) -> Version:
    """What a `version.json` says. Raises RulesError."""
    value = read_object(parse_json(content, VERSION_BYTES, "version.json", SCHEMA), "version.json", Version)
    artifacts = read_mapping(value["artifacts"], "artifacts", MOST_ARTIFACTS, read_artifact_id)
    parsed = Version(
        name=read_name(value["name"], "name"),
        version=read_version(value["version"], "version"),
        server_model=read_digest(value["server_model"], "server_model"),
        created=read_moment(value["created"], "created"),
        labels=read_list(value["labels"], "labels", MOST_LABELS, read_label),
        artifacts={name: _artifact(item, f"artifacts.{name}") for name, item in artifacts.items()},
        shared=read_list(value["shared"], "shared", MOST_FILES, _file),
    )
    for name, item in parsed.artifacts.items():
        _check_places((*parsed.shared, *item.files), name)
    return parsed


def render_channel(channel: Channel) -> bytes:
    """The bytes of a `channel.json`; what cannot be read again raises RulesError."""
    value = {item.name: getattr(channel, item.name) for item in fields(channel)}
    conditions = {item.name: getattr(channel.conditions, item.name) for item in fields(Conditions)}
    value["conditions"] = {name: item for name, item in conditions.items() if item is not None}
    experiment = channel.experiment
    if experiment:
        value["experiment"] = {**vars(experiment), "arms": [vars(arm) for arm in experiment.arms]}
    content = _render(value)
    parse_channel(content)
    return content


def render_version(version: Version) -> bytes:
    """The bytes of a `version.json`; what cannot be read again raises RulesError."""
    artifacts = {
        name: {"format": item.format, "entry": item.entry, "files": [_file_json(file) for file in item.files]}
        for name, item in version.artifacts.items()
    }
    shared = [_file_json(file) for file in version.shared]
    content = _render({**vars(version), "artifacts": artifacts, "shared": shared})
    parse_version(content)
    return content


def _file_json(file: ChannelFile) -> Json:
    patches = [
        {"from": item.base, **{key: value for key, value in vars(item).items() if key != "base"}}
        for item in file.patches
    ]
    value: Json = {"path": file.path, "sha256": file.sha256, "size": file.size}
    return {**value, "patches": patches} if patches else value


def _render(value: Json) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
    except ValueError as error:
        raise RulesError("a number must be finite") from error


def _conditions(value: Any) -> Conditions:
    names = [item.name for item in fields(Conditions)]
    value = read_object(value, "conditions", Conditions, optional=names)
    runtimes = read_mapping(value.get("minimum_runtime", {}), "conditions.minimum_runtime", 32, read_name)
    platforms, memory = value.get("platforms"), value.get("minimum_memory_mb")
    return Conditions(
        read_whole(value.get("minimum_client", 1), "conditions.minimum_client", 1, MOST_VERSION),
        {name: read_release(item, f"conditions.minimum_runtime.{name}") for name, item in runtimes.items()},
        None if platforms is None else read_list(platforms, "conditions.platforms", 64, read_name),
        None if memory is None else read_whole(memory, "conditions.minimum_memory_mb", 1, MOST_VERSION),
    )


def _arm(value: Any, what: str) -> Arm:
    value = read_object(value, what, Arm)
    share = read_whole(value["share"], f"{what}.share", 1, MOST_SHARE)
    return Arm(read_name(value["name"], f"{what}.name"), read_version(value["version"], f"{what}.version"), share)


def _experiment(value: Any) -> Experiment:
    value = read_object(value, "experiment", Experiment)
    arms = read_list(value["arms"], "experiment.arms", MOST_ARMS, _arm)
    if len({arm.name for arm in arms}) < max(len(arms), 2):
        raise RulesError("experiment.arms must be two or more with different names")
    name, salt = read_name(value["name"], "experiment.name"), read_text(value["salt"], "experiment.salt")
    return Experiment(name, salt, read_percent(value["percent"], "experiment.percent"), arms)


def _patch(value: Any, what: str) -> Patch:
    value = read_object(value, what, Patch, base="from")
    base, sha256 = (read_digest(value[key], f"{what}.{key}") for key in ("from", "sha256"))
    return Patch(
        base,
        sha256,
        read_whole(value["size"], f"{what}.size", 1, PATCH_BYTES),
        read_name(value["kind"], f"{what}.kind"),
    )


def _file(value: Any, what: str) -> ChannelFile:
    value = read_object(value, what, ChannelFile, optional=("patches",))
    patches = read_list(value.get("patches", []), f"{what}.patches", MOST_PATCHES, _patch)
    size = read_whole(value["size"], f"{what}.size", 0, FILE_BYTES)
    return ChannelFile(
        read_place(value["path"], f"{what}.path"), read_digest(value["sha256"], f"{what}.sha256"), size, patches
    )


def _artifact(value: Any, what: str) -> ChannelArtifact:
    value = read_object(value, what, ChannelArtifact)
    files = read_list(value["files"], f"{what}.files", MOST_FILES, _file)
    entry = read_place(value["entry"], f"{what}.entry")
    if entry not in {file.path for file in files}:
        raise RulesError(f"{what}.entry is none of its files")
    return ChannelArtifact(read_name(value["format"], f"{what}.format"), entry, files)


def _check_places(files: Collection[ChannelFile], artifact: str) -> None:
    """Two files of one folder must not meet, where capitals make no difference either, and none lies inside another."""
    seen: set[str] = set()
    for path in (file.path.casefold() for file in files):
        if path in seen:
            raise RulesError(f"artifacts.{artifact[:60]}: two files of one path, {path[:60]!a}")
        seen.add(path)
    for path in seen:
        if any(parent.as_posix() in seen for parent in PurePosixPath(path).parents):
            raise RulesError(f"artifacts.{artifact[:60]}: {path[:60]!a} lies below a file")
