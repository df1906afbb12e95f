"""A change of a channel's repository, written whole: of it a client sees all or nothing.

`timestamp.json` is moved into place last, and what it leads to lies under names of its own.
"""

from __future__ import annotations

import shutil
from dataclasses import field
from pathlib import Path
from typing import TypeVar

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from edgeship.client.repository import CONFIG
from edgeship.deploy.channel.repository import (
    METADATA,
    TIMESTAMP,
    Repository,
    check_root,
    damage,
    find_end,
    next_version,
    place_of,
    to_bytes,
)
from edgeship.deploy.channel.signers import Signers, sign
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import printable

R = TypeVar("R", Targets, Snapshot)


@dataclass(frozen=True)
class Source:
    """A file whose content becomes a target, with the sha256 and size in bytes that it must have."""

    path: Path
    sha256: str
    size: int


@dataclass
class Changes:
    """What a change makes of the targets: `contents` by target name, bytes or the file that holds them; what is `dropped`."""

    contents: dict[str, bytes | Source] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)


def commit(repository: Repository, signers: Signers, changes: Changes) -> tuple[str, ...]:
    """Write a change of targets: files, then targets, snapshot and timestamp, the last by a rename. Returns what was written.

    What was written before an error is taken away again. Raises InputError where a key that is needed is not in `signers`.
    """
    folder, root = repository.folder, repository.root.signed
    signers.check(root, ("targets", "snapshot", "timestamp"))
    targets = dict(repository.targets.signed.targets)
    for name in changes.dropped:
        targets.pop(name, None)
    written: list[Path] = []
    before = repository.timestamp
    try:
        for name, content in changes.contents.items():
            file = _describe(name, content)
            targets[name] = file
            place = place_of(folder, name, file.hashes["sha256"])
            if not place.exists() or digest.of_path(place) != file.hashes["sha256"]:
                written.append(place)
                _write(place, content)
        if repository.new:
            written.append(folder / METADATA / "1.root.json")
            _write(written[-1], to_bytes(repository.root))
        written.append(renew_targets(repository, signers, targets))
        written.append(renew_snapshot(repository, signers))
        write_timestamp(repository, signers)
    except BaseException:
        if repository.timestamp is before or not _is_live(repository):
            for path in written:
                path.unlink(missing_ok=True)
        raise
    names = [path.relative_to(folder).as_posix() for path in written]
    return (*names, f"{METADATA}/{TIMESTAMP}")


def renew_targets(repository: Repository, signers: Signers, targets: dict[str, TargetFile] | None = None) -> Path:
    """Write the list of targets anew, perhaps with others; clients see it with the next snapshot and timestamp."""
    listed = repository.targets.signed.targets if targets is None else targets
    signed = Targets(next_version(repository.folder, "targets"), expires=find_end("targets"), targets=listed)
    return _renew(repository, signed, signers)


def renew_snapshot(repository: Repository, signers: Signers) -> Path:
    """Write the snapshot anew; clients see it with the next timestamp."""
    meta = {"targets.json": MetaFile(repository.targets.signed.version)}
    return _renew(
        repository,
        Snapshot(next_version(repository.folder, "snapshot"), expires=find_end("snapshot"), meta=meta),
        signers,
    )


def write_timestamp(repository: Repository, signers: Signers) -> None:
    """Write the timestamp of the repository's snapshot: from here on clients see what it leads to."""
    version = 1 if repository.new else repository.timestamp.signed.version + 1
    shown = MetaFile(repository.snapshot.signed.version)
    repository.timestamp = Metadata(Timestamp(version, expires=find_end("timestamp"), snapshot_meta=shown))
    sign(repository.timestamp, signers.signing(repository.root.signed, "timestamp"), "timestamp")
    _write(repository.folder / METADATA / TIMESTAMP, to_bytes(repository.timestamp))
    repository.new = False


def write_root(repository: Repository, root: Metadata[Root]) -> None:
    """Write the next root, which holds at once. Raises InputError where it is not signed as the present one asks."""
    with damage(repository.folder):
        check_root(repository.root.signed, root)
    _write(repository.folder / METADATA / f"{root.signed.version}.root.json", to_bytes(root))
    repository.root = root


def next_root(repository: Repository) -> Root:
    """A copy of the present root with the next number and a new end, to be changed, signed and written."""
    root: Root = Metadata[Root].from_bytes(to_bytes(repository.root)).signed
    root.version, root.expires = root.version + 1, find_end("root")
    return root


def _renew(repository: Repository, signed: R, signers: Signers) -> Path:
    role = signed.type
    metadata = Metadata(signed)
    sign(metadata, signers.signing(repository.root.signed, role), role)
    path = repository.folder / METADATA / f"{signed.version}.{role}.json"
    content, most = to_bytes(metadata), getattr(CONFIG, f"{role}_max_length")
    if len(content) > most:
        raise InputError(
            f"{printable(repository.folder)}: its {role} would be {len(content):,} bytes, and clients read at most {most:,}; "
            "keep fewer versions (publish --keep), or begin another channel"
        )
    _write(path, content)
    setattr(repository, role, metadata)
    return path


def _is_live(repository: Repository) -> bool:
    """Whether clients see the repository as it is in memory."""
    path = repository.folder / METADATA / TIMESTAMP
    return path.exists() and path.read_bytes() == to_bytes(repository.timestamp)


def _describe(name: str, content: bytes | Source) -> TargetFile:
    if isinstance(content, bytes):
        return TargetFile.from_data(name, content, ["sha256"])
    return TargetFile(content.size, {"sha256": content.sha256}, name)


def _write(path: Path, content: bytes | Source) -> None:
    with atomic_file(path) as beside:
        if isinstance(content, bytes):
            beside.write_bytes(content)
        else:
            shutil.copyfile(content.path, beside)
            if beside.stat().st_size != content.size or digest.of_path(beside) != content.sha256:
                raise digest.changed_error(content.path)
