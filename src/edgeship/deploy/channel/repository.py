"""A channel's folder: a TUF 1.0 repository with consistent snapshots, read with every signature checked, and written whole.

Of a change a client sees all or nothing: `timestamp.json` is moved into place last, and what it leads to lies under names of its
own. https://theupdateframework.github.io/specification/latest/
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import filelock
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from edgeship.deploy.channel.signers import ROLES, Signers, sign
from edgeship.errors import InputError
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import damage_as_input_error, place_within, printable, regular_file

LIFE = {"root": timedelta(365), "targets": timedelta(90), "snapshot": timedelta(7), "timestamp": timedelta(1)}
METADATA, TARGETS, LOCK, TIMESTAMP = "metadata", "targets", ".lock", "timestamp.json"
WAIT_SECONDS = 120
LARGEST = 64 << 20  # bytes of one file of metadata
S = TypeVar("S", Root, Targets, Snapshot, Timestamp)
R = TypeVar("R", Targets, Snapshot)


@dataclass
class Repository:
    """A channel's folder as its timestamp shows it: the four roles' metadata. `new`: there is no timestamp yet."""

    folder: Path
    root: Metadata[Root]
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]
    new: bool = False

    def read_target(self, name: str) -> bytes:
        """The content of a target. Raises InputError where it is not there, or not what was signed."""
        place, signed = self.target_place(name), self.targets.signed.targets[name]
        regular_file(place)
        with damage_as_input_error(place):
            content = place.read_bytes() if place.stat().st_size == signed.length else b""
        if hashlib.sha256(content).hexdigest() != signed.hashes["sha256"]:
            raise InputError(
                f"{printable(place)}: is not what was published; bring it back from the server or a backup"
            )
        return content

    def target_place(self, name: str) -> Path:
        """Where the file of a target lies."""
        return _place_of(self.folder, name, self.targets.signed.targets[name].hashes["sha256"])

    def target_places(self) -> set[Path]:
        """Where the files of all targets lie."""
        return {self.target_place(name) for name in self.targets.signed.targets}


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


@contextlib.contextmanager
def locked(folder: Path, *, create: bool = False) -> Iterator[None]:
    """Inside, no other process changes the channel in `folder`; `create`: which may be a new one.

    Raises InputError where it is none, where it is in use for two minutes, and where it cannot be written.
    """
    place = printable(folder)
    if not create:
        check_channel(folder)
    if create and folder.exists() and not (folder.is_dir() and _is_channel_or_empty(folder)):
        raise InputError(f"{place}: is no channel and holds something else; choose another --channel")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / LOCK, timeout=WAIT_SECONDS):
            yield
    except filelock.Timeout as error:
        raise InputError(f"{place}: another process has been changing it for {WAIT_SECONDS} s; try again") from error
    except OSError as error:
        where = printable(error.filename or folder)
        raise InputError(f"{where}: {error.strerror}; the channel is as it was") from error


def check_channel(folder: Path) -> None:
    """Raise InputError for a folder that is no channel."""
    if not (folder / METADATA).is_dir():
        place = printable(folder)
        raise InputError(f"{place}: no channel; `edgeship deploy publish BUNDLE --channel {place} ...` begins one")


def _is_channel_or_empty(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} <= {METADATA, TARGETS, LOCK}


def open_repository(folder: Path, trusted: Sequence[Key] = ()) -> Repository:
    """The channel in a folder, each signature checked from the first root on; dates are not: who signs anew renews them.

    `trusted`: keys of which one signed one of its roots, where there are some. Raises InputError for a folder that is none, for
    what is missing, damaged, or signed by others.
    """
    root = _read_roots(folder, trusted)
    with _damage(folder):
        if not (folder / METADATA / TIMESTAMP).exists():
            return _resume(folder, root)
        timestamp = _read(folder, TIMESTAMP, Timestamp)
        snapshot_version = timestamp.signed.snapshot_meta.version
        snapshot = _read(folder, f"{snapshot_version}.snapshot.json", Snapshot)
        targets = _read(folder, f"{snapshot.signed.meta['targets.json'].version}.targets.json", Targets)
        opened = Repository(folder, root, targets, snapshot, timestamp)
        for role, metadata in (("timestamp", timestamp), ("snapshot", snapshot), ("targets", targets)):
            root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        if snapshot.signed.version != snapshot_version:
            raise RepositoryError(f"{snapshot_version}.snapshot.json is of another version")
        return opened


def begin_repository(folder: Path, signers: Signers, threshold: int = 1) -> Repository:
    """A new channel with the keys of `signers`, nothing of which is written yet. `threshold`: of root and targets."""
    root = Root(expires=_end("root"), consistent_snapshot=True)
    for role in ROLES:
        for signer in signers.of_role(role):
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = threshold if role in ("root", "targets") else 1
    signers.check(root, ROLES)
    metadata = Metadata(root)
    sign(metadata, signers.known_to(root, "root"), "root")
    return _empty(folder, metadata)


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
            place = _place_of(folder, name, file.hashes["sha256"])
            if not place.exists() or digest.of_path(place) != file.hashes["sha256"]:
                written.append(place)
                _write(place, content)
        if repository.new:
            written.append(folder / METADATA / "1.root.json")
            _write(written[-1], _to_bytes(repository.root))
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
    signed = Targets(_next(repository.folder, "targets"), expires=_end("targets"), targets=listed)
    return _renew(repository, signed, signers)


def renew_snapshot(repository: Repository, signers: Signers) -> Path:
    """Write the snapshot anew; clients see it with the next timestamp."""
    meta = {"targets.json": MetaFile(repository.targets.signed.version)}
    return _renew(
        repository, Snapshot(_next(repository.folder, "snapshot"), expires=_end("snapshot"), meta=meta), signers
    )


def write_timestamp(repository: Repository, signers: Signers) -> None:
    """Write the timestamp of the repository's snapshot: from here on clients see what it leads to."""
    version = 1 if repository.new else repository.timestamp.signed.version + 1
    shown = MetaFile(repository.snapshot.signed.version)
    repository.timestamp = Metadata(Timestamp(version, expires=_end("timestamp"), snapshot_meta=shown))
    sign(repository.timestamp, signers.signing(repository.root.signed, "timestamp"), "timestamp")
    _write(repository.folder / METADATA / TIMESTAMP, _to_bytes(repository.timestamp))
    repository.new = False


def write_root(repository: Repository, root: Metadata[Root]) -> None:
    """Write the next root, which holds at once. Raises InputError where it is not signed as the present one asks."""
    with _damage(repository.folder):
        _check_root(repository.root.signed, root)
    _write(repository.folder / METADATA / f"{root.signed.version}.root.json", _to_bytes(root))
    repository.root = root


def next_root(repository: Repository) -> Root:
    """A copy of the present root with the next number and a new end, to be changed, signed and written."""
    root: Root = Metadata[Root].from_bytes(_to_bytes(repository.root)).signed
    root.version, root.expires = root.version + 1, _end("root")
    return root


def _renew(repository: Repository, signed: R, signers: Signers) -> Path:
    role = signed.type
    metadata = Metadata(signed)
    sign(metadata, signers.signing(repository.root.signed, role), role)
    path = repository.folder / METADATA / f"{signed.version}.{role}.json"
    _write(path, _to_bytes(metadata))
    setattr(repository, role, metadata)
    return path


def _is_live(repository: Repository) -> bool:
    """Whether clients see the repository as it is in memory."""
    path = repository.folder / METADATA / TIMESTAMP
    return path.exists() and path.read_bytes() == _to_bytes(repository.timestamp)


def _read_roots(folder: Path, trusted: Sequence[Key]) -> Metadata[Root]:
    """The newest root. Raises InputError where one is not signed by the one before it, and none by a trusted key."""
    with _damage(folder):
        root = _read(folder, "1.root.json", Root)
        _check_root(root.signed, root)
        known = _is_signed_by(root, trusted)
        while (folder / METADATA / f"{root.signed.version + 1}.root.json").exists():
            later = _read(folder, f"{root.signed.version + 1}.root.json", Root)
            _check_root(root.signed, later)
            root, known = later, known or _is_signed_by(later, trusted)
    if trusted and not known:
        raise InputError(f"{printable(folder)}: none of its roots is signed by the root key beside yours: whose is it?")
    return root


def _check_root(before: Root, root: Metadata[Root]) -> None:
    for keys in (before, root.signed):
        keys.verify_delegate("root", root.signed_bytes, root.signatures)


def _is_signed_by(metadata: Metadata[Root], keys: Sequence[Key]) -> bool:
    for key in keys:
        signature = metadata.signatures.get(key.keyid)
        with contextlib.suppress(Exception):  # whatever a library finds wrong with a signature
            if signature is not None:
                key.verify_signature(signature, metadata.signed_bytes)
                return True
    return False


def _read(folder: Path, name: str, kind: type[S]) -> Metadata[S]:
    path = regular_file(folder / METADATA / name)
    if path.stat().st_size > LARGEST:
        raise InputError(f"{printable(path)}: larger than any metadata")
    metadata = Metadata[S].from_bytes(path.read_bytes())
    version = name.partition(".")[0]
    if not isinstance(metadata.signed, kind) or (version.isdecimal() and metadata.signed.version != int(version)):
        raise RepositoryError(f"{name} is of another role or version")
    return metadata


@contextlib.contextmanager
def _damage(folder: Path) -> Iterator[None]:
    """What is wrong with the metadata of a folder, as an InputError."""
    try:
        with damage_as_input_error(folder / METADATA):
            yield
    except InputError as error:
        raise InputError(
            f"{error}; nothing is signed on top of it: bring it back from the server or a backup"
        ) from error


def _resume(folder: Path, root: Metadata[Root]) -> Repository:
    """A channel that was begun and not finished."""
    if _next(folder, "targets") > 2 or root.signed.version > 1:
        raise RepositoryError(f"{TIMESTAMP} is missing")
    return _empty(folder, root)


def _empty(folder: Path, root: Metadata[Root]) -> Repository:
    targets, snapshot = Metadata(Targets(expires=_end("targets"))), Metadata(Snapshot(expires=_end("snapshot")))
    return Repository(folder, root, targets, snapshot, Metadata(Timestamp(expires=_end("timestamp"))), new=True)


def _next(folder: Path, role: str) -> int:
    """The number after the highest that was ever written: a file that a CDN may have is never written anew."""
    names = (path.name.partition(".") for path in (folder / METADATA).glob(f"*.{role}.json"))
    return 1 + max(
        (int(number) for number, _, rest in names if number.isdecimal() and rest == f"{role}.json"), default=0
    )


def _end(role: str) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + LIFE[role]


def _describe(name: str, content: bytes | Source) -> TargetFile:
    if isinstance(content, bytes):
        return TargetFile.from_data(name, content, ["sha256"])
    return TargetFile(content.size, {"sha256": content.sha256}, name)


def _place_of(folder: Path, name: str, sha256: str) -> Path:
    parent, _, base = name.rpartition("/")
    return place_within(folder / TARGETS, f"{parent}/{sha256}.{base}")


def _to_bytes(metadata: Metadata[Any]) -> bytes:
    return metadata.to_bytes(JSONSerializer(compact=True))


def _write(path: Path, content: bytes | Source) -> None:
    with atomic_file(path) as beside:
        if isinstance(content, bytes):
            beside.write_bytes(content)
        else:
            shutil.copyfile(content.path, beside)
            if beside.stat().st_size != content.size or digest.of_path(beside) != content.sha256:
                raise digest.changed_error(content.path)
