"""A channel's folder: a TUF 1.0 repository with consistent snapshots, read with every signature checked.

https://theupdateframework.github.io/specification/latest/
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import filelock
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from edgeship.deploy.channel.signers import ROLES, Signers, sign
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import damage_as_input_error, place_within, printable, regular_file

LIFE = {"root": timedelta(365), "targets": timedelta(90), "snapshot": timedelta(7), "timestamp": timedelta(1)}
METADATA, TARGETS, LOCK, TIMESTAMP = "metadata", "targets", ".lock", "timestamp.json"
WAIT_SECONDS = 120
LARGEST = 64 << 20  # bytes of one file of metadata
TARGET, SHA256 = re.compile(r"[a-z0-9._-]+(/[a-z0-9._-]+)+"), re.compile(r"[0-9a-f]{64}")
S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


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

    def check_target(self, name: str) -> Path:
        """Where the file of a target lies. Raises InputError as `read_target`."""
        self.read_target(name)
        return self.target_place(name)

    def target_place(self, name: str) -> Path:
        """Where the file of a target lies."""
        return place_of(self.folder, name, self.targets.signed.targets[name].hashes["sha256"])

    def target_places(self) -> set[Path]:
        """Where the files of all targets lie."""
        return {self.target_place(name) for name in self.targets.signed.targets}


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
    begun = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / LOCK, timeout=WAIT_SECONDS):
            try:
                yield
            finally:
                if begun and not (folder / METADATA / TIMESTAMP).exists():
                    shutil.rmtree(folder, ignore_errors=True)
    except filelock.Timeout as error:
        raise InputError(f"{place}: another process has been changing it for {WAIT_SECONDS} s; try again") from error
    except OSError as error:
        where = printable(error.filename2 or error.filename or folder)  # the second is the one that is written
        raise InputError(f"{where}: {error.strerror}; the channel is as it was") from error


def check_channel(folder: Path) -> None:
    """Raise InputError for a folder that is no channel."""
    if not (folder / METADATA).is_dir():
        place = printable(folder)
        raise InputError(f"{place}: no channel; `edgeship deploy publish BUNDLE --channel {place} ...` begins one")


def _is_channel_or_empty(folder: Path) -> bool:
    begun = (folder / METADATA / "1.root.json").exists()  # others may lie beside what is served, as a page
    return begun or {path.name for path in folder.iterdir()} <= {METADATA, TARGETS, LOCK}


def open_repository(folder: Path, trusted: Sequence[Key] = ()) -> Repository:
    """The channel in a folder, each signature checked from the first root on; dates are not: who signs anew renews them.

    `trusted`: keys of which one signed one of its roots, where there are some. Raises InputError for a folder that is none, for
    what is missing, damaged, or signed by others.
    """
    root = _read_roots(folder, trusted)
    with damage(folder):
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
        for name, file in targets.signed.targets.items():
            if not TARGET.fullmatch(name) or ".." in name or not SHA256.fullmatch(str(file.hashes.get("sha256"))):
                raise RepositoryError(f"the target {name[:60]!a} is none of a channel")
        return opened


def open_for_changes(folder: Path, trusted: Sequence[Key]) -> Repository:
    """As `open_repository`, for what devices are to follow. Raises InputError, too, where the root has ended: none would."""
    repository = open_repository(folder, trusted)
    if repository.root.signed.is_expired():
        end = repository.root.signed.expires
        raise InputError(
            f"{printable(folder)}: its root expired on {end:%Y-%m-%d}; `deploy refresh` with the root key renews it"
        )
    return repository


def begin_repository(folder: Path, signers: Signers, threshold: int = 1) -> Repository:
    """A new channel with the keys of `signers`, nothing of which is written yet. `threshold`: of root and targets."""
    root = Root(expires=find_end("root"), consistent_snapshot=True)
    for role in ROLES:
        for signer in signers.of_role(role):
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = threshold if role in ("root", "targets") else 1
    signers.check(root, ROLES)
    metadata = Metadata(root)
    sign(metadata, signers.known_to(root, "root"), "root")
    return _empty(folder, metadata)


def _read_roots(folder: Path, trusted: Sequence[Key]) -> Metadata[Root]:
    """The newest root. Raises InputError where one is not signed by the one before it, and none by a trusted key."""
    with damage(folder):
        root = _read(folder, "1.root.json", Root)
        check_root(root.signed, root)
        known = _is_signed_by(root, trusted)
        while (folder / METADATA / f"{root.signed.version + 1}.root.json").exists():
            later = _read(folder, f"{root.signed.version + 1}.root.json", Root)
            check_root(root.signed, later)
            root, known = later, known or _is_signed_by(later, trusted)
    if trusted and not known:
        raise InputError(f"{printable(folder)}: none of its roots is signed by the root key beside yours: whose is it?")
    return root


def check_root(before: Root, root: Metadata[Root]) -> None:
    """Raise RepositoryError where a root is not signed as the one before it, and as it itself asks."""
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
def damage(folder: Path) -> Iterator[None]:
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
    if next_version(folder, "targets") > 2 or root.signed.version > 1:
        raise RepositoryError(f"{TIMESTAMP} is missing")
    return _empty(folder, root)


def _empty(folder: Path, root: Metadata[Root]) -> Repository:
    targets, snapshot = Metadata(Targets(expires=find_end("targets"))), Metadata(Snapshot(expires=find_end("snapshot")))
    return Repository(folder, root, targets, snapshot, Metadata(Timestamp(expires=find_end("timestamp"))), new=True)


def next_version(folder: Path, role: str) -> int:
    """The number after the highest that was ever written: a file that a CDN may have is never written anew."""
    names = (path.name.partition(".") for path in (folder / METADATA).glob(f"*.{role}.json"))
    return 1 + max(
        (int(number) for number, _, rest in names if number.isdecimal() and rest == f"{role}.json"), default=0
    )


def find_end(role: str) -> datetime:
    """When a role ends that is signed now."""
    return datetime.now(UTC).replace(microsecond=0) + LIFE[role]


def place_of(folder: Path, name: str, sha256: str) -> Path:
    """Where a target with that content lies. Raises InputError for a name that leads outside, or through a link."""
    parent, _, base = name.rpartition("/")
    return place_within(folder / TARGETS, f"{parent}/{sha256}.{base}")


def to_bytes(metadata: Metadata[Any]) -> bytes:
    """What the file of a role's metadata holds."""
    return metadata.to_bytes(JSONSerializer(compact=True))
