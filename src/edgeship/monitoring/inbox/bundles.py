"""Bundles whose reports are taken: from folders, from a channel, from a registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeship.bundle.bundle import MANIFEST, open_bundle
from edgeship.deploy.contract.file import FILE as CONTRACT
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.profile.profile import FILE, parse_profile
from edgeship.storage import digest
from edgeship.untrusted import parse_json, printable


@dataclass(frozen=True)
class BundleProfile:
    """The content of a `profile.json`, and the sha256 of the manifest that it came with; empty where that is not known.

    `contract`: the content of the `contract.json` beside it, empty where there is none.
    """

    body: bytes
    manifest: str = ""
    contract: bytes = b""


@dataclass(frozen=True)
class BundleSources:
    """Where bundles are looked for: folders, the folder of a channel, the address of a registry."""

    bundles: tuple[Path, ...] = ()
    channel: Path | None = None
    registry: str | None = None

    def __bool__(self) -> bool:
        return bool(self.bundles or self.channel or self.registry)

    def read(self) -> list[BundleProfile]:
        """The profiles that are there now. Raises InputError for what is none of them, and where none has a profile."""
        found = [_read_bundle(root) for root in self.bundles]
        shared: list[tuple[object, Iterator[BundleProfile]]] = []
        if self.channel:
            shared.append((self.channel, _read_channel(self.channel)))
        if self.registry:
            shared.append((self.registry, _read_registry(self.registry)))
        for place, versions in shared:
            profiles = list(versions)
            if not profiles:
                raise InputError(
                    f"{printable(place)}: no version has a {FILE}, by which clients count; ship with evaluation data"
                )
            found += profiles
        for item in found:
            parse_profile(parse_json(item.body, FILE))
        return found


def _read_bundle(root: Path) -> BundleProfile:
    bundle = open_bundle(root)
    if FILE not in bundle.manifest.files:
        raise InputError(f"{printable(root)}: has no {FILE}, by which clients count; ship it with evaluation data")
    contract = (bundle.root / CONTRACT).read_bytes() if CONTRACT in bundle.manifest.files else b""
    return BundleProfile((bundle.root / FILE).read_bytes(), digest.of_path(bundle.root / MANIFEST), contract)


def _read_channel(folder: Path) -> Iterator[BundleProfile]:
    """Of every version that is there: devices may run an old one. Clients of a channel have no manifest to name."""
    from edgeship.client.rules import file_path
    from edgeship.deploy.channel.listing import VERSION, read_version_file
    from edgeship.deploy.channel.repository import check_channel, open_repository

    check_channel(folder)
    repository = open_repository(folder)
    for match in filter(None, map(VERSION.fullmatch, repository.targets.signed.targets)):
        version = read_version_file(repository, match[1], int(match[2]))
        files = {file.path: file_path(match[1], file.sha256) for file in version.shared}
        if FILE in files:
            contract = repository.read_target(files[CONTRACT]) if CONTRACT in files else b""
            yield BundleProfile(repository.read_target(files[FILE]), contract=contract)


def _read_registry(store: str) -> Iterator[BundleProfile]:
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        for name in opened.names():
            for version in opened.versions(name):
                files = opened.manifest(version).files
                if FILE in files:
                    contract = opened.files.find(files[CONTRACT]).read_bytes() if CONTRACT in files else b""
                    yield BundleProfile(opened.files.find(files[FILE]).read_bytes(), version.record.bundle, contract)
