"""What the profiles of an inbox are called, and how fast their artifacts were in the lab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from edgeship.bundle.bundle import open_bundle
from edgeship.bundle.manifest import Manifest
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.bundles import BundleSources
from edgeship.monitoring.profile.profile import FILE
from edgeship.storage import digest


@dataclass(frozen=True)
class KnownVersion:
    """A version's name, and by artifact the median and 90 % latency of the lab in ms with the device and runtime."""

    name: str
    latency: Mapping[str, tuple[str, float, float]]


def find_versions(sources: BundleSources) -> dict[str, KnownVersion]:
    """Versions by the sha256 of their profile: bundles by their folder, versions of a channel or registry by name and number."""
    found: dict[str, KnownVersion] = {}
    if sources.channel:
        found |= {profile: KnownVersion(name, {}) for profile, name in _name_channel(sources.channel)}
    if sources.registry:
        found |= {
            profile: KnownVersion(name, _latencies(manifest))
            for profile, name, manifest in _name_registry(sources.registry)
        }
    for root in sources.bundles:
        bundle = open_bundle(root)
        if FILE in bundle.manifest.files:
            version = KnownVersion(root.resolve().name, _latencies(bundle.manifest))
            found[digest.of_path(bundle.root / FILE)] = version
    return found


def _latencies(manifest: Manifest) -> dict[str, tuple[str, float, float]]:
    found: dict[str, tuple[str, float, float]] = {}
    for item in manifest.measurements:
        latency = item.details.latency
        if latency and latency.p50_ms is not None and latency.p90_ms is not None:
            found.setdefault(item.artifact, (f"{item.device}, {item.runtime}", latency.p50_ms, latency.p90_ms))
    return found


def _name_channel(folder: Path) -> Iterator[tuple[str, str]]:
    from edgeship.deploy.channel.listing import VERSION, read_version_file
    from edgeship.deploy.channel.repository import check_channel, open_repository

    check_channel(folder)
    repository = open_repository(folder)
    for match in filter(None, map(VERSION.fullmatch, repository.targets.signed.targets)):
        version = read_version_file(repository, match[1], int(match[2]))
        yield from ((file.sha256, f"{match[1]} {match[2]}") for file in version.shared if file.path == FILE)


def _name_registry(store: str) -> Iterator[tuple[str, str, Manifest]]:
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        for name in opened.names():
            for version in opened.versions(name):
                manifest = opened.manifest(version)
                if content := manifest.files.get(FILE):
                    yield digest.of_path(opened.files.find(content)), f"{name} {version.number}", manifest
