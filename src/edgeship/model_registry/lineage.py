"""Where a version comes from, and what else came from there."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from edgeship.light_dataclass import dataclass
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import DataUse, Version
from edgeship.untrusted import printable_value, read_json

# What is told of a card: in which words, and where it stands there.
CARD = {
    "task": ("title",),
    "trained": ("created",),
    "seed": ("seed",),
    "code": ("edgeship", "commit"),
    "data": ("data", "name"),
    "data's sha256": ("data", "sha256"),
    "split": ("data", "split_method"),
    "epochs": ("hyperparameters", "epochs"),
    "trained again from version": ("retraining", "champion", "version"),
    "old samples beside its labels": ("retraining", "replay"),
}


@dataclass(frozen=True)
class ModelOrigin:
    """The server model: its digest, parameters, and what its card `tells` of how it was trained (empty without a card)."""

    digest: str
    parameters: int | None = None
    tells: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ArtifactOrigin:
    """The steps that made an artifact, in words."""

    artifact: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Lineage:
    """What a version was made of, and by what (`shared`) other versions are its relatives, as `name/version`."""

    name: str
    version: int
    server: ModelOrigin
    data: Mapping[str, DataUse]
    artifacts: tuple[ArtifactOrigin, ...]
    tools: Mapping[str, str]
    shared: Mapping[str, tuple[str, ...]]


def trace_lineage(store: Store, version: Version, rows: Sequence[Version]) -> Lineage:
    """`rows`: all versions of the registry, of every name."""
    manifest = store.manifest(version)
    server = ModelOrigin(manifest.server.digest, manifest.server.parameters, _read_card(store, version))
    artifacts = tuple(
        ArtifactOrigin(item.id, tuple(_describe_step(step.name, step.recipe) for step in item.steps))
        for item in manifest.artifacts
    )
    tools = {name: str(value) for name, value in manifest.tools.items()}
    shared = {"server model": _others(version, rows, lambda row: row.record.server == version.record.server)}
    for role, use in version.record.data.items():
        digest = use.digest
        shared[f"{role} data"] = _others(
            version, rows, lambda row, digest=digest: any(item.digest == digest for item in row.record.data.values())
        )
    return Lineage(version.name, version.number, server, version.record.data, artifacts, tools, shared)


def _others(version: Version, rows: Sequence[Version], test: Any) -> tuple[str, ...]:
    mine = (version.name, version.number)
    return tuple(f"{row.name}/{row.number}" for row in rows if (row.name, row.number) != mine and test(row))


def _describe_step(name: str, recipe: Mapping[str, Any]) -> str:
    told = [
        f"{key} {value}" for key, value in recipe.items() if isinstance(value, (str, int, float)) and value is not False
    ]
    return f"{name} ({', '.join(told)})" if told else name


def _read_card(store: Store, version: Version) -> dict[str, str]:
    """What of a model card tells where the model comes from; a stranger's card may hold anything, and then nothing is told."""
    if not version.record.card:
        return {}
    content, told = read_json(store.files.find(version.record.card)), {}
    for name, keys in CARD.items():
        value = content
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, (str, int, float)):
            told[name] = printable_value(str(value))
    with contextlib.suppress(AttributeError, KeyError, TypeError):
        splits = {str(name): int(split["samples"]) for name, split in content["data"]["splits"].items()}
        told["splits"] = printable_value(", ".join(f"{name} {count:,}" for name, count in splits.items()))
    return told
