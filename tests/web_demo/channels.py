"""An update channel for tests: a TUF repository with versions of a model, and what an attacker may make of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from edgeship.bundle.bundle import Bundle
from edgeship.client import rules
from edgeship.client.rule_files import render_channel, render_version

NAME, CHANNEL = "pots", "stable"
DAYS = {"root": 365, "targets": 90, "snapshot": 7, "timestamp": 1}
GOLDEN = ("goldens/raw/", "contract.json", "profile.json")


def in_days(days: float) -> datetime:
    """That many days from now."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


class ChannelFolder:
    """A channel in a folder, with the keys of all roles in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = {role: CryptoSigner.generate_ed25519() for role in DAYS}
        expires = {role: in_days(days) for role, days in DAYS.items()}
        self.root = Root(expires=expires["root"], consistent_snapshot=True)
        for role, signer in self.keys.items():
            self.root.add_key(signer.public_key, role)
        self.targets = Targets(expires=expires["targets"])
        self.snapshot = Snapshot(expires=expires["snapshot"])
        self.timestamp = Timestamp(expires=expires["timestamp"])
        self.rules = rules.Channel(NAME, CHANNEL, 1, None, 100.0, f"{NAME}/{CHANNEL}/1")
        (folder / "metadata").mkdir(parents=True)
        self.sign_root(self.keys["root"])

    def sign(self, role: str, signed: Any, signers: Sequence[CryptoSigner] = ()) -> None:
        """Write the metadata of a role, signed by its key or by others."""
        metadata: Metadata[Any] = Metadata(signed)
        for signer in signers or [self.keys[role]]:
            metadata.sign(signer, append=True)
        name = f"{role}.json" if role == "timestamp" else f"{signed.version}.{role}.json"
        metadata.to_file(str(self.folder / "metadata" / name), JSONSerializer(compact=False))

    def sign_root(self, *signers: CryptoSigner) -> None:
        """Write the root, signed by those keys."""
        self.sign("root", self.root, signers)

    def rotate(self, role: str) -> CryptoSigner:
        """Give a role another key by a new root; the removed key."""
        old, new = self.keys[role], CryptoSigner.generate_ed25519()
        self.root.revoke_key(old.public_key.keyid, role)
        self.root.add_key(new.public_key, role)
        self.root.version += 1
        self.sign_root(self.keys["root"], *([new] if role == "root" else []))
        self.keys[role] = new
        return old

    def add_target(self, path: str, content: bytes) -> None:
        """Write a target and list it."""
        self.targets.targets[path] = TargetFile.from_data(path, content, ["sha256"])
        place = self.folder / "targets" / path
        place = place.with_name(f"{hashlib.sha256(content).hexdigest()}.{place.name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def add_version(self, number: int, files: Mapping[str, bytes], artifact: str, labels: Sequence[str]) -> None:
        """Write a version of one TF.js artifact; `files` by their paths in a bundle."""
        listed = {}
        for path, content in files.items():
            listed[path] = rules.ChannelFile(path, hashlib.sha256(content).hexdigest(), len(content))
            self.add_target(rules.file_path(NAME, listed[path].sha256), content)
        own = {path for path in files if path.startswith(f"{artifact}/") or path.endswith(artifact.replace("/", "-"))}
        version = rules.Version(
            NAME, number, "0" * 64, "2026-11-29T10:00:00Z", tuple(labels),
            {artifact: rules.ChannelArtifact("tfjs", f"{artifact}/model.json", tuple(listed[path] for path in sorted(own)))},
            tuple(item for path, item in listed.items() if path not in own),
        )  # fmt: skip
        self.add_target(rules.version_path(NAME, number), render_version(version))

    def publish(self, **changes: Any) -> None:
        """Write the channel's rules with those changes, then targets, snapshot and timestamp."""
        self.rules = replace(self.rules, **changes)
        self.add_target(rules.channel_path(NAME, CHANNEL), render_channel(self.rules))
        self.write()

    def write(self) -> None:
        """Write targets, snapshot and timestamp, each of the next version."""
        self.sign("targets", self.targets)
        self.snapshot.meta["targets.json"] = MetaFile(self.targets.version)
        self.sign("snapshot", self.snapshot)
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.sign("timestamp", self.timestamp)
        for signed in (self.targets, self.snapshot, self.timestamp):
            signed.version += 1


def bundle_files(bundle: Bundle, artifact: str) -> dict[str, bytes]:
    """The files of a bundle that a page takes for one TF.js artifact."""
    other = tuple(item.id.replace("/", "-") for item in bundle.manifest.artifacts if item.id != artifact)
    wanted = (f"{artifact}/", *GOLDEN)
    names = [name for name in bundle.manifest.files if name.startswith(wanted) and not name.endswith(other)]
    return {name: (bundle.root / name).read_bytes() for name in names}


def shift_answers(files: dict[str, bytes], artifact: str) -> dict[str, bytes]:
    """The files of a version whose model does not give the answers of its goldens."""
    import numpy as np

    name = next(path for path in files if path.endswith(artifact.replace("/", "-")))
    return {**files, name: (np.frombuffer(files[name], "<f4") + np.float32(0.5)).tobytes()}
