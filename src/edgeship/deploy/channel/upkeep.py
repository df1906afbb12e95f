"""What keeps a channel alive: metadata signed anew before it ends, keys replaced, and what a person on call wants to know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tuf.api.metadata import Metadata, Role, Signed

from edgeship.client.rules import Channel
from edgeship.deploy.channel import listing
from edgeship.deploy.channel.repository import (
    LIFE,
    METADATA,
    TIMESTAMP,
    Repository,
    check_channel,
    locked,
    open_repository,
)
from edgeship.deploy.channel.signers import ROLES, Signers, sign
from edgeship.deploy.channel.writing import next_root, renew_snapshot, renew_targets, write_root, write_timestamp
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

# Once a role has ended clients take nothing new. It is told a day before; 6 hours of the timestamp, which lives but a day.
NOTICE = {"root": timedelta(1), "targets": timedelta(1), "snapshot": timedelta(1), "timestamp": timedelta(hours=6)}


@dataclass(frozen=True)
class RoleStatus:
    """A role of the repository: its version, its keys (ids of 64 digits) and how many must sign, its end (ISO 8601, UTC)."""

    role: str
    version: int
    keys: tuple[str, ...]
    threshold: int
    expires: str
    seconds_left: int


@dataclass(frozen=True)
class ChannelStatus:
    """A channel's name, as `garments/stable`, its rules, and the versions that are there."""

    name: str
    rules: Channel
    versions: tuple[int, ...]


@dataclass(frozen=True)
class FolderStatus:
    """What a channel's folder holds; `problems`: what a person must see to, `renewed`: roles that were just signed anew."""

    folder: Path
    roles: tuple[RoleStatus, ...]
    channels: tuple[ChannelStatus, ...]
    problems: tuple[str, ...] = ()
    renewed: tuple[str, ...] = ()


def read_status(folder: Path) -> FolderStatus:
    """What a channel's folder holds, every signature checked, and that the files of all targets are there.

    Raises InputError for a folder that is no channel, or whose metadata is damaged.
    """
    check_channel(folder)
    return _status_of(open_repository(folder), ())  # without the lock: who looks may not be allowed to write


def refresh_metadata(folder: Path, signers: Signers) -> FolderStatus:
    """Sign the timestamp anew, and root, targets and snapshot in the second half of their lives where their keys are here.

    Raises InputError where the timestamp's key is not here.
    """
    with locked(folder):
        repository = open_repository(folder, signers.root_keys())
        if repository.new:
            raise InputError(f"{printable(folder)}: nothing is published yet; `deploy publish` goes first")
        signers.check(repository.root.signed, ("timestamp",))
        due = [
            role for role in ROLES[:3] if _is_due(repository, role) and signers.can_sign(repository.root.signed, role)
        ]
        if "root" in due:
            root = Metadata(next_root(repository))
            sign(root, signers.known_to(repository.root.signed, "root"), "root")
            write_root(repository, root)
        if "targets" in due and "snapshot" not in due:
            due = [*due, "snapshot"] if signers.can_sign(repository.root.signed, "snapshot") else [*due[:-1]]
        if "targets" in due:
            renew_targets(repository, signers)
        if "snapshot" in due:
            renew_snapshot(repository, signers)
        write_timestamp(repository, signers)
        return _status_of(repository, (*due, "timestamp"))


def rotate_keys(folder: Path, role: str, signers: Signers, new: Signers, threshold: int | None = None) -> FolderStatus:
    """Give a role the keys of `new` in place of its own; `threshold`: how many of them must sign (default: as many as before).

    The role's metadata is signed by old and new keys before the root names the new ones, so that clients take both roots; an old
    key that is lost leaves them with what they have until the new metadata is there. Raises InputError where keys are missing.
    """
    with locked(folder):
        repository = open_repository(folder, signers.root_keys())
        root, keys = next_root(repository), new.of_role(role)
        before = Role(list(root.roles[role].keyids), root.roles[role].threshold)
        for keyid in tuple(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        for signer in keys:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = threshold or root.roles[role].threshold
        if sorted(before.keyids) == sorted(root.roles[role].keyids) and before.threshold == root.roles[role].threshold:
            raise InputError(f"{new}: these are the keys that '{role}' has; `edgeship deploy keygen` makes others")
        new.check(root, (role,))
        followers = {"root": (), "targets": ("snapshot", "timestamp"), "snapshot": ("timestamp",), "timestamp": ()}[
            role
        ]
        signers.check(repository.root.signed, ("root", *followers))
        metadata = Metadata(root)
        extra = {key.public_key.keyid: key for key in keys}
        both = Signers(signers.places, {role: list(extra.values())})
        sign(metadata, both.signing(repository.root.signed, "root"), "root")
        steps: list[Callable[[], None]] = [lambda: write_root(repository, metadata)]
        if role != "root":
            at_end = signers.can_sign(repository.root.signed, role)
            steps.insert(0 if at_end else 1, lambda: _sign_anew(repository, role, both))
        for step in steps:
            step()
        return _status_of(repository, (role,))


def _sign_anew(repository: Repository, role: str, signers: Signers) -> None:
    if role == "targets":
        renew_targets(repository, signers)
    if role in ("targets", "snapshot"):
        renew_snapshot(repository, signers)
    write_timestamp(repository, signers)


def _is_due(repository: Repository, role: str) -> bool:
    end: datetime = getattr(repository, role).signed.expires
    return end - datetime.now(UTC) < LIFE[role] / 2


def _status_of(repository: Repository, renewed: tuple[str, ...]) -> FolderStatus:
    root = repository.root.signed
    roles = tuple(_role_status(role, root.roles[role], getattr(repository, role).signed) for role in ROLES)
    channels = tuple(
        ChannelStatus(name, rules, tuple(listing.list_versions(repository, rules.name)))
        for name in listing.list_channels(repository)
        for rules in [listing.read_channel_rules(repository, name)]
    )
    ends = [_describe_end(item) for item in roles if item.seconds_left < NOTICE[item.role].total_seconds()]
    lost = sorted(filter(None, (_describe_loss(repository, name) for name in repository.targets.signed.targets)))[:3]
    unfinished = [f"{METADATA}/{TIMESTAMP}: nothing is published yet"] if repository.new else []
    return FolderStatus(repository.folder, roles, channels, (*unfinished, *ends, *lost), renewed)


def _describe_loss(repository: Repository, name: str) -> str:
    """What is wrong with a target's file at first sight; empty where nothing is. Contents are not read: they may be large."""
    place = repository.target_place(name)
    shown = printable(place.relative_to(repository.folder))
    if not place.is_file():
        return f"{shown}: missing"
    same = place.stat().st_size == repository.targets.signed.targets[name].length
    return "" if same else f"{shown}: is not what was published; bring it back from the server or a backup"


def _role_status(role: str, keys: Role, signed: Signed) -> RoleStatus:
    left = int((signed.expires - datetime.now(UTC)).total_seconds())
    end = f"{signed.expires:%Y-%m-%dT%H:%M:%SZ}"
    return RoleStatus(role, signed.version, tuple(keys.keyids), keys.threshold, end, left)


def _describe_end(item: RoleStatus) -> str:
    word = "expires" if item.seconds_left > 0 else "expired"
    return f"{item.role} {word} at {item.expires}; `edgeship deploy refresh` with the key of '{item.role}' renews it"
