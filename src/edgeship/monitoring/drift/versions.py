"""What the profiles of an inbox are called, and how fast their artifacts were in the lab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from edgeship.bundle.bundle import open_bundle
from edgeship.bundle.manifest import Manifest
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.bundles import BundleSources
from edgeship.monitoring.profile.profile import FILE
from edgeship.storage import digest
from edgeship.untrusted import printable

Latencies = Mapping[str, tuple[str, float, float]]


@dataclass(frozen=True)
class KnownVersion:
    """What reports of a profile are of: `name` for people, and the numbers of its versions by name, as garments: 1, 3.

    `latency`: by artifact the device and runtime of the lab, and its median and 90 % in ms. `labels`: what classes are called.
    """

    name: str
    latency: Latencies
    numbers: Mapping[str, tuple[int, ...]]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Version:
    profile: str
    name: str
    number: int
    latency: Latencies
    labels: tuple[str, ...]


def find_versions(sources: BundleSources) -> dict[str, KnownVersion]:
    """Versions by the sha256 of their profile: those of a channel or registry by name and number, else bundles by their folder.

    One bundle may be several versions, of several names.
    """
    found: dict[str, KnownVersion] = {}
    listed = [*(_list_channel(sources.channel) if sources.channel else ())]
    listed += _list_registry(sources.registry) if sources.registry else ()
    for item in listed:
        before = found.get(item.profile, KnownVersion("", {}, {}))
        known = tuple(sorted({*before.numbers.get(item.name, ()), item.number}))
        numbers = dict(sorted({**before.numbers, item.name: known}.items()))
        labels = item.labels or before.labels
        found[item.profile] = KnownVersion(_describe(numbers), {**before.latency, **item.latency}, numbers, labels)
    for root in sources.bundles:
        bundle = open_bundle(root)
        if FILE in bundle.manifest.files:
            profile = digest.of_path(bundle.root / FILE)
            before = found.get(profile, KnownVersion(root.resolve().name, {}, {}))
            found[profile] = replace(before, latency={**before.latency, **_latencies(bundle.manifest)})
    return found


def choose_versions(
    versions: Mapping[str, KnownVersion], name: str | None, where: str
) -> tuple[str, dict[str, KnownVersion]]:
    """A name (default: the only one there is) and its versions by profile. Raises InputError that lists the known names."""
    names = sorted({name for version in versions.values() for name in version.numbers})
    if name is None and len(names) != 1:
        raise InputError(f"{where}: --name must say which: {', '.join(names) or 'no version there has a ' + FILE}")
    chosen = names[0] if name is None else name
    if chosen not in names:
        raise unknown_name_error("name", printable(chosen), names or [f"none with a {FILE} yet"], where)
    return chosen, {
        profile: replace(version, name=_describe({chosen: version.numbers[chosen]}))
        for profile, version in versions.items()
        if chosen in version.numbers
    }


def _describe(numbers: Mapping[str, Iterable[int]]) -> str:
    """As `garments 1, 3`."""
    return "; ".join(f"{name} {', '.join(map(str, found))}" for name, found in numbers.items())


def _latencies(manifest: Manifest) -> dict[str, tuple[str, float, float]]:
    found: dict[str, tuple[str, float, float]] = {}
    for item in manifest.measurements:
        latency = item.details.latency
        if latency and latency.p50_ms is not None and latency.p90_ms is not None:
            found.setdefault(item.artifact, (f"{item.device}, {item.runtime}", latency.p50_ms, latency.p90_ms))
    return found


def _list_channel(folder: Path) -> Iterator[_Version]:
    from edgeship.deploy.channel.listing import VERSION, read_version_file
    from edgeship.deploy.channel.repository import check_channel, open_repository

    check_channel(folder)
    repository = open_repository(folder)
    for match in filter(None, map(VERSION.fullmatch, repository.targets.signed.targets)):
        version = read_version_file(repository, match[1], int(match[2]))
        files = {file.path: file.sha256 for file in version.shared}
        if FILE in files:
            yield _Version(files[FILE], match[1], int(match[2]), {}, version.labels)


def _list_registry(store: str) -> Iterator[_Version]:
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        for name in opened.names():
            for version in opened.versions(name):
                manifest = opened.manifest(version)
                if content := manifest.files.get(FILE):
                    profile = digest.of_path(opened.files.find(content))
                    yield _Version(profile, name, version.number, _latencies(manifest), manifest.labels or ())
