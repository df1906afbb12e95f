"""What a device keeps: versions, each a whole folder, and which of them runs. Standard library only.

`STATE/versions/<n>/` is written beside as `STATE/incoming/` and renamed; `STATE/state.json` likewise, so that a client that is
killed anywhere finds one whole version or the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeship.client.outcome import ClientError
from edgeship.client.rule_files import parse_version
from edgeship.client.rules import ChannelArtifact, ChannelFile, Version
from edgeship.client.strict_json import RulesError

DESCRIPTION, PATCH = "version.json", ".patch"
OWN_NAMES = (DESCRIPTION, PATCH)  # in a version's folder
MOST_FAILED = 50
FOLDERS = ("metadata", "metadata/root_history", "versions", "incoming")
FILES = ("state.json", "lock", "channel.json")


@dataclass(frozen=True)
class Verified:
    """What TUF verified last: the number of the newest root, digests of what else could change, and until when it holds.

    `until`: the first moment at which a role ends, in seconds of time.time.
    """

    url: str
    trusted: str
    root: int
    timestamp: str
    channel: str
    until: float


@dataclass(frozen=True)
class State:
    """`state.json`: which channel and artifact it is of, this device's id, and which versions run, ran before, or failed here."""

    name: str
    artifact: str
    device: str
    running: int | None = None
    previous: int | None = None
    failed: tuple[int, ...] = ()
    verified: Verified | None = None
    schema: int = 1


@dataclass(frozen=True)
class StoredVersion:
    """A version on this device: its folder, what the channel says of it, and the artifact that was taken."""

    folder: Path
    description: Version
    artifact: ChannelArtifact
    files: tuple[ChannelFile, ...] = field(repr=False, default=())

    @property
    def entry(self) -> Path:
        """The file that a runtime opens."""
        return self.folder / self.artifact.entry


class Store:
    """The state folder of one client. Raises ClientError where it holds a link, or another channel's state."""

    def __init__(self, root: Path, name: str, artifact: str) -> None:
        self._root, self._name, self._artifact = root.resolve(), name, artifact
        self.metadata, self.incoming = self._root / "metadata", self._root / "incoming"
        self.channel = self._root / "channel.json"
        self._versions, self._file = self._root / "versions", self._root / "state.json"

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Make the folders, and hold them; False where another process does. Raises ClientError where they cannot be made."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign()
            for name in ("metadata", "versions"):
                (self._root / name).mkdir(exist_ok=True)
            file = (self._root / "lock").open("a+b")
        except OSError as error:
            raise ClientError(f"{error.filename or self._root}: {error.strerror}; the state needs a folder") from error
        with file:
            yield lock_file(file.fileno())

    def _refuse_foreign(self) -> None:
        """No channel, and no link, is written to; TUF's `metadata/root.json` is one that it makes anew."""
        if (self.metadata / "1.root.json").exists():
            raise ClientError(f"{self._root} is a channel; the state needs a folder of its own")
        for name in (*FOLDERS, *FILES):
            path = self._root / name
            if path.is_symlink():
                raise ClientError(f"{path} is a link, and nothing is written through one; remove it")
            if path.exists() and path.is_dir() != (name in FOLDERS):
                raise ClientError(f"{path} is not what a client left there; use an empty folder for the state")

    def read_state(self) -> State:
        """What was written last; a new one where nothing was. A damaged one starts anew from the newest version that is whole.

        Raises ClientError for the state of another channel or artifact.
        """
        try:
            state = _parse_state(self._file.read_bytes())
        except FileNotFoundError:
            return State(self._name, self._artifact, os.urandom(16).hex())
        except OSError as error:
            raise ClientError(f"{self._file}: {error.strerror}") from error
        except (ValueError, RecursionError):
            return State(self._name, self._artifact, os.urandom(16).hex(), next(iter(self._whole_versions()), None))
        if (state.name, state.artifact) != (self._name, self._artifact):
            raise ClientError(
                f"{self._root} is the state of {state.name}, {state.artifact}; "
                f"use another folder for {self._name}, {self._artifact}"
            )
        return state

    def write_new_state(self, state: State) -> None:
        """Write a state where there is none yet: the device keeps its id, and so its bucket."""
        if not self._file.exists():
            self.write_state(state)

    def write_state(self, state: State) -> None:
        """Replace `state.json`, whole."""
        beside = self._file.with_name("state.json.new")
        beside.unlink(missing_ok=True)
        with beside.open("x", encoding="utf-8") as file:
            json.dump(asdict(state), file)
            os.fsync(file.fileno())
        beside.replace(self._file)
        _flush_folder(self._root)

    def find(self, number: int) -> StoredVersion | None:
        """A version that is here with all its files, each of its size; None where it is not."""
        folder = self._versions / str(number)
        try:
            if folder.is_symlink():
                return None
            stored = open_version(folder, (folder / DESCRIPTION).read_bytes(), self._artifact)
        except (OSError, RulesError, ClientError):
            return None
        whole = stored.description.version == number and all(_has_size(folder, file) for file in stored.files)
        return stored if whole else None

    def find_whole(self, number: int) -> StoredVersion | None:
        """As `find`, for files whose every byte was looked at."""
        stored = self.find(number)
        if stored and all(has_content(stored.folder / file.path, file.size, file.sha256) for file in stored.files):
            return stored
        return None

    def copy_content(self, file: ChannelFile, place: Path) -> bool:
        """Copy a file from any version that is here and has its content, every byte looked at; whether one had it."""
        for known, path in self._files():
            if known.sha256 == file.sha256 and has_content(path, file.size, file.sha256):
                shutil.copyfile(path, place)
                return True
        return False

    def find_base(self, sha256: str, most: int) -> bytes | None:
        """The content of the file that a patch is for, of at most `most` bytes; None where it is not here."""
        for known, path in self._files():
            if known.sha256 == sha256 and known.size <= most and has_content(path, known.size, sha256):
                return path.read_bytes()
        return None

    def check_room(self, files: tuple[ChannelFile, ...]) -> None:
        """Raise ClientError where the disk has no room for all of these files."""
        needed, free = sum(file.size for file in files), shutil.disk_usage(self._root).free
        if needed > free:
            raise ClientError(f"{self._root}: the version takes {needed:,} bytes, and {free:,} are free")

    def clear_incoming(self) -> None:
        """Remove what was fetched of a new version."""
        _remove(self.incoming)

    def begin(self) -> Path:
        """The folder for a new version; what a killed client left in it is still good where its digest is."""
        self.incoming.mkdir(exist_ok=True)
        return self.incoming

    def place(self, path: str) -> Path:
        """Where a file of the new version goes; folders are made, and a link on the way raises ClientError."""
        place = self.incoming
        for part in Path(path).parent.parts:
            place = place / part
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                raise ClientError(f"{place} is a link or a file where a folder should be; remove it")
            place.mkdir(exist_ok=True)
        target = place / Path(path).name
        if target.is_symlink():
            target.unlink()
        return target

    def finish(self, number: int, files: tuple[ChannelFile, ...]) -> None:
        """Make the new version, whose `files` are all there, the one of that number."""
        wanted = {self.incoming / file.path for file in files} | {self.incoming / DESCRIPTION}
        for folder, _, names in os.walk(self.incoming, topdown=False):
            for name in names:
                path = Path(folder, name)
                if path not in wanted:
                    path.unlink()
                    continue
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            _flush_folder(Path(folder))
        target = self._versions / str(number)
        _remove(target)
        self.incoming.replace(target)
        _flush_folder(self._versions)

    def remove_others(self, state: State) -> None:
        """Remove the versions that neither run nor ran before; one that is in use elsewhere stays for the next time."""
        for number in self._numbers():
            if number not in (state.running, state.previous):
                _remove(self._versions / str(number))
        self.clear_incoming()

    def _files(self) -> Iterator[tuple[ChannelFile, Path]]:
        """Every file of the versions that are here, those of the newest first."""
        for number in self._numbers():
            if stored := self.find(number):
                yield from ((file, stored.folder / file.path) for file in stored.files)

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self._versions)
        except FileNotFoundError:
            return []
        return sorted(
            (int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 11), reverse=True
        )

    def _whole_versions(self) -> Iterator[int]:
        return (number for number in self._numbers() if self.find_whole(number))


def open_version(folder: Path, content: bytes, artifact: str) -> StoredVersion:
    """The version that a `version.json` describes. Raises RulesError, or ClientError where it has no such artifact."""
    description = parse_version(content)
    chosen = description.artifacts.get(artifact)
    if chosen is None:
        known = ", ".join(sorted(description.artifacts))
        raise ClientError(f"version {description.version} has no artifact '{artifact}'; known: {known}")
    files = (*description.shared, *chosen.files)
    for file in files:
        if file.path.partition("/")[0].casefold() in OWN_NAMES:
            raise RulesError(
                f"version {description.version}: a file is called {file.path!a}, which is the client's own"
            )
    return StoredVersion(folder, description, chosen, files)


def remember_failure(state: State, number: int) -> State:
    """The state of a device on which that version failed its self-test; of many, the oldest are forgotten."""
    return replace(state, failed=tuple(sorted({*state.failed, number}))[-MOST_FAILED:])


def has_content(path: Path, size: int, sha256: str) -> bool:
    """Whether a regular file of that size and digest is there."""
    try:
        mode = path.lstat()
        if not stat.S_ISREG(mode.st_mode) or mode.st_size != size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _has_size(folder: Path, file: ChannelFile) -> bool:
    try:
        mode = (folder / file.path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(mode.st_mode) and mode.st_size == file.size


def _parse_state(content: bytes) -> State:
    """A state of this client, or of an earlier or later one: what is missing has its default, what is unknown is left out."""
    value = json.loads(content)
    texts = [value.get(key) for key in ("name", "artifact", "device")] if isinstance(value, dict) else [None]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):  # no halves of characters, either
        raise ValueError("no state of a client")
    running, previous, failed = value.get("running"), value.get("previous"), value.get("failed", [])
    if not isinstance(failed, list) or not all(type(number) is int for number in failed):
        raise ValueError("versions are whole numbers")
    if not all(number is None or type(number) is int for number in (running, previous)):
        raise ValueError("versions are whole numbers")
    verified = _parse_verified(value.get("verified"))
    return State(value["name"], value["artifact"], value["device"], running, previous, tuple(failed), verified)


def _parse_verified(value: Any) -> Verified | None:
    """What is not as it was written is asked for anew."""
    kinds = {"url": str, "trusted": str, "root": int, "timestamp": str, "channel": str, "until": float}
    whole = isinstance(value, dict) and {key: type(item) for key, item in value.items()} == kinds
    return Verified(**value) if whole else None


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def lock_file(descriptor: int) -> bool:
    """Whether the lock is ours now; the system lets it go with the process."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _flush_folder(folder: Path) -> None:
    """A rename is kept over a power cut once its folder is written; Windows cannot be asked to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
