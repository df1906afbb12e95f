"""A bundle becomes a version of a channel: files by content, patches, rules, and the metadata that signs them all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from edgeship.bundle.bundle import Bundle
from edgeship.bundle.head_learning import FOLDER
from edgeship.client.rule_files import render_version
from edgeship.client.rules import Channel, Version, channel_path, file_path, signature_path, version_path
from edgeship.deploy.channel import listing
from edgeship.deploy.channel.contents import VersionContents, same_contents, select_contents
from edgeship.deploy.channel.patches import BASES, add_patches
from edgeship.deploy.channel.repository import METADATA, TARGETS, Repository, begin_repository, locked, open_for_changes
from edgeship.deploy.channel.rollout import ChannelChange, release_version
from edgeship.deploy.channel.signers import Signers
from edgeship.deploy.channel.writing import Changes, Source, commit
from edgeship.deploy.signing.signature import read_signature
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

KEPT = 5
OURS = re.compile(r"\.?[0-9a-f]{64}[.-]")  # files of targets and drafts of them; what others left there is theirs


@dataclass(frozen=True)
class Publication:
    """How a bundle is published: see `publish_bundle`. `learning`: whether what devices learn with goes along."""

    name: str
    version: int | None = None
    percent: float = 100.0
    kept: int = KEPT
    threshold: int = 1
    unjudged: bool = False
    learning: bool = True


def publish_bundle(bundle: Bundle, folder: Path, signers: Signers, plan: Publication) -> ChannelChange:
    """Bring a bundle into a channel as its newest version, in a repository that is begun where there is none.

    A bundle that is there already, in another channel of the same name, keeps its number. Raises InputError where the bundle
    lacks what clients need, where the channel does not take it, and where keys are missing; then nothing is changed.
    """
    name, channel = listing.split_name(plan.name)
    with locked(folder, create=True):
        repository = _open_or_begin(folder, signers, plan.threshold)
        before = listing.find_channel(repository, plan.name)
        known = listing.list_versions(repository, name)
        wanted = plan.version or _next_number(repository, name, known)
        contents = select_contents(bundle, name, wanted, unjudged=plan.unjudged, learning=plan.learning)
        same = _find_same(repository, contents.version, known, plan.version)
        number = same or contents.version.version
        if before and before.version == number:
            other = ", and `deploy rollout --percent` changes who gets it" if before.percent != plan.percent else ""
            note = f"the bundle is version {number} already; nothing to do{other}"
            return ChannelChange(folder, before, before, (note,))
        if number in known and not same:
            raise InputError(
                f"version {number} of {name} is another bundle already; leave out --version for the next number"
            )
        after = release_version(before, name, channel, number, plan.percent)
        changes = Changes({} if same else _new_targets(repository, bundle, contents, known))
        changes.contents[channel_path(name, channel)] = listing.encode_channel(after)
        _drop_old(repository, changes, after, {*known, number}, plan.kept)
        earlier = repository.target_places()
        notes = (
            *listing.describe_staleness(repository),
            *_notes(contents, before, after, folder if repository.new else None),
        )
        written = commit(repository, signers, changes)
        _sweep(repository, earlier)
        return ChannelChange(folder, before, after, notes, written)


def _open_or_begin(folder: Path, signers: Signers, threshold: int) -> Repository:
    if (folder / METADATA / "1.root.json").exists():
        repository = open_for_changes(folder, signers.root_keys())
        if threshold not in (1, repository.root.signed.roles["targets"].threshold):
            raise InputError(
                f"{printable(folder)}: is there already, and a threshold is of a new channel; "
                "`deploy rotate --threshold` changes it"
            )
        return repository
    if any((folder / METADATA).glob("*.json")):
        raise InputError(f"{printable(folder)}: its first root, {METADATA}/1.root.json, is missing; bring it back")
    return begin_repository(folder, signers, threshold)


def _next_number(repository: Repository, name: str, known: Sequence[int]) -> int:
    """The number after all that were ever used."""
    channels = [listing.read_channel_rules(repository, item) for item in listing.list_channels(repository)]
    used = {number for item in channels if item.name == name for number in (item.version, *item.withdrawn)}
    return max({*used, *known}, default=0) + 1


def _find_same(repository: Repository, version: Version, known: Sequence[int], asked: int | None) -> int | None:
    """The version that the bundle is already."""
    numbers = [asked] if asked in known else [] if asked else sorted(known, reverse=True)
    for number in numbers:
        if number and same_contents(listing.read_version_file(repository, version.name, number), version):
            return number
    return None


def _new_targets(
    repository: Repository, bundle: Bundle, contents: VersionContents, known: Sequence[int]
) -> dict[str, bytes | Source]:
    """The files, patches, description and signature of a new version, by target name."""
    name = contents.version.name

    def locate(sha256: str) -> Path:
        here = contents.files.get(sha256)
        return here.path if here else repository.check_target(file_path(name, sha256))

    bases = [listing.read_version_file(repository, name, number) for number in sorted(known, reverse=True)[:BASES]]
    version, patches = add_patches(contents.version, bases, locate)
    targets: dict[str, bytes | Source] = {file_path(name, sha256): file for sha256, file in contents.files.items()}
    targets |= {file_path(name, sha256): content for sha256, content in patches.items()}
    targets[version_path(name, version.version)] = render_version(version)
    if signature := read_signature(bundle.root):
        targets[signature_path(name, version.version)] = signature
    return targets


def _drop_old(repository: Repository, changes: Changes, after: Channel, numbers: Collection[int], kept: int) -> None:
    """Take versions beyond the newest `kept` out of the targets, never one that a channel gives to devices."""
    name = after.name
    others = [listing.read_channel_rules(repository, item) for item in listing.list_channels(repository)]
    used = {number for item in others if (item.name, item.channel) != (name, after.channel) for number in item.versions}
    stay = {*sorted(numbers)[-kept:], *used, *after.versions}
    old = [number for number in numbers if number not in stay]
    if not old:
        return
    here = [number for number in numbers if number in stay and version_path(name, number) not in changes.contents]
    needed = {path for number in here for path in _files_of(listing.read_version_file(repository, name, number))}
    dropped = {path for number in old for path in _files_of(listing.read_version_file(repository, name, number))}
    dropped |= {form(name, number) for number in old for form in (version_path, signature_path)}
    changes.dropped |= dropped - needed - changes.contents.keys()


def _files_of(version: Version) -> set[str]:
    """The targets of a version's files and patches."""
    files = [*version.shared, *(file for item in version.artifacts.values() for file in item.files)]
    digests = {file.sha256 for file in files} | {patch.sha256 for file in files for patch in file.patches}
    return {file_path(version.name, sha256) for sha256 in digests}


def _notes(contents: VersionContents, before: Channel | None, after: Channel, begun: Path | None) -> tuple[str, ...]:
    notes = []
    if begun:
        notes.append(f"a new channel: apps ship with {begun / METADATA / '1.root.json'} as their trusted root.json")
    if contents.left_out:
        notes.append(f"left out, as they did not pass or clients cannot feed them: {', '.join(contents.left_out)}")
    artifacts = contents.version.artifacts.values()
    learning = [[file.size for file in item.files if file.path.startswith(f"{FOLDER}/")] for item in artifacts]
    if any(learning):
        notes.append(
            f"what devices learn with goes along, {max(map(sum, learning)):,} bytes each, of which some is derived from training "
            f"data; without it: --no-{FOLDER}"
        )
    if before and after.previous != before.version and before.percent > 0:
        back = f"back to {after.previous}" if after.previous else "without one"
        notes.append(
            f"version {before.version} was at {before.percent:g} %: its devices that do not get {after.version} go {back}"
        )
    if after.conditions != type(after.conditions)():
        notes.append("the conditions stay as they were; devices that do not meet them are given the previous version")
    return tuple(notes)


def _sweep(repository: Repository, earlier: set[Path]) -> None:
    """Delete files of targets that are neither listed now nor were before, as a client may be at work with, and stale drafts."""
    stay = repository.target_places() | earlier
    ours = (path for path in (repository.folder / TARGETS).rglob("*") if OURS.match(path.name) and path.is_file())
    files = (path for path in ours if path not in stay)
    with contextlib.suppress(OSError):
        for path in (*files, *(repository.folder / METADATA).glob(".*")):
            path.unlink(missing_ok=True)
