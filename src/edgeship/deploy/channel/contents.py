"""What of a bundle goes into a channel: per artifact its files and goldens, and what every client needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from edgeship.bundle import head_learning
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry
from edgeship.client.rule_files import render_version
from edgeship.client.rules import ChannelArtifact, ChannelFile, Version
from edgeship.client.strict_json import RulesError
from edgeship.deploy.channel.writing import Source
from edgeship.deploy.contract.contract import FOLDER, Contract, read_contract
from edgeship.deploy.contract.file import FILE as CONTRACT
from edgeship.errors import InputError
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.types import Verdict
from edgeship.untrusted import printable

PROFILE = "profile.json"
GOLDENS = ("goldens/inputs.npz", "goldens/outputs.npz")


@dataclass(frozen=True)
class VersionContents:
    """A version without its patches: its files by sha256 of the content, and the artifacts that stay behind."""

    version: Version
    files: Mapping[str, Source]
    left_out: tuple[str, ...] = ()


def select_contents(
    bundle: Bundle, name: str, version: int, *, unjudged: bool = False, learning: bool = True
) -> VersionContents:
    """The bundle as that version of `name`: what its gate passes of the artifacts in the contract, or all with `unjudged`.

    `learning`: whether what devices learn with goes along, where the bundle has it.

    Raises InputError for a bundle without contract or such artifacts, and for names that no client may write.
    """
    contract = read_contract(bundle.root)
    if contract is None:
        foreign = any(item.foreign for item in bundle.manifest.artifacts)
        remedy = (
            "files that others made have none: ship the model with edgeship" if foreign else "make the bundle again"
        )
        raise InputError(f"{printable(bundle.root)}: has no {CONTRACT}, which clients need; {remedy}")
    chosen = [
        item for item in bundle.manifest.artifacts if contract.artifact(item.id) and (unjudged or _passes(bundle, item))
    ]
    if not chosen:
        raise InputError(
            f"{printable(bundle.root)}: no artifact that passes and that {CONTRACT} describes; nothing to publish"
        )
    raw = [file for file in bundle.manifest.files if file.startswith(f"{FOLDER}/")]
    own = {item.id: _own_files(bundle, contract, item, raw) for item in chosen}
    if learning:
        own = {item.id: [*own[item.id], *_learning_files(bundle, item.format)] for item in chosen}
    every = {file for item in contract.artifacts for file in raw if file.endswith(f".{item.file_id}")}
    profile = [PROFILE] if PROFILE in bundle.manifest.files else []  # what clients count by
    described = Version(
        name=name,
        version=version,
        server_model=bundle.manifest.server.digest,
        created=_moment(bundle.manifest.created),
        labels=bundle.manifest.labels or (),
        artifacts={
            item.id: ChannelArtifact(item.format, item.path, _describe(bundle, own[item.id])) for item in chosen
        },
        shared=_describe(bundle, [CONTRACT, *profile, *(file for file in raw if file not in every)]),
    )
    _check(bundle, described)
    every_file = [*described.shared, *(file for item in described.artifacts.values() for file in item.files)]
    files = {file.sha256: Source(bundle.root / file.path, file.sha256, file.size) for file in every_file}
    return VersionContents(described, files, tuple(item.id for item in bundle.manifest.artifacts if item not in chosen))


def same_contents(one: Version, other: Version) -> bool:
    """Whether two versions are the same but for their numbers and patches."""
    return _bare(one) == _bare(other)


def _bare(version: Version) -> Version:
    artifacts = {
        name: replace(item, files=tuple(replace(file, patches=()) for file in item.files))
        for name, item in version.artifacts.items()
    }
    shared = tuple(replace(file, patches=()) for file in version.shared)
    return replace(version, version=1, artifacts=artifacts, shared=shared)


def _passes(bundle: Bundle, item: ArtifactEntry) -> bool:
    gate = bundle.manifest.gate
    return gate is not None and gate.verdict_on(item.id) is Verdict.PASS


def _own_files(bundle: Bundle, contract: Contract, item: ArtifactEntry, raw: Sequence[str]) -> list[str]:
    """The artifact itself and what it answers to the goldens: to the raw ones, or to those in .npz where there are none."""
    form, files = formats.find(item.format), bundle.manifest.files
    folder = item.path.removesuffix(form.main_file) if form.is_folder else None
    found = [name for name in files if name.startswith(folder)] if folder else [item.path]
    file_id = item.id.replace("/", "-")
    found += [name for name in raw if name.endswith(f".{file_id}")]
    if not contract.goldens.cases:
        found += [name for name in (*GOLDENS, f"goldens/{file_id}.npz") if name in files]
    return sorted(found)


def _learning_files(bundle: Bundle, form: str) -> list[str]:
    """What a client of that format learns with: the first base of it, which is the one that a client opens; none without."""
    learning = bundle.manifest.learning
    base = next((item for item in learning.bases if item.format == form), None) if learning else None
    if learning is None or base is None or form not in learning.steps:
        return []
    names = (head_learning.FILE, learning.head, learning.replay, learning.steps[form], base.file)
    return [f"{head_learning.FOLDER}/{name}" for name in names]


def _describe(bundle: Bundle, names: Sequence[str]) -> tuple[ChannelFile, ...]:
    return tuple(
        ChannelFile(name, bundle.manifest.files[name], (bundle.root / name).stat().st_size) for name in sorted(names)
    )


def _moment(created: str) -> str:
    try:
        moment = datetime.fromisoformat(created)
    except ValueError as error:
        raise InputError(
            f"the bundle says that it was made at {printable(created)[:40]!r}, which is no time"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _check(bundle: Bundle, version: Version) -> None:
    try:
        render_version(version)
    except RulesError as error:
        raise InputError(f"{printable(bundle.root)}: cannot be published: {error}") from error
