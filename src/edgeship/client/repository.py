"""A channel's TUF repository: what it verified, and nothing else, leaves this module."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from edgeship.client.download import DeadlineFetcher

# Roots are counted from the app's own, those that are here already, too: after so many no client of that app would follow.
# A root is a few kilobytes. Delegations are none of the channel's; with 0 of them only the top role's targets are looked at.
CONFIG = UpdaterConfig(max_root_rotations=4096, max_delegations=0, root_max_length=64_000)


ROLES = ("root", "timestamp", "snapshot", "targets")


class Repository:
    """The repository below `url`, its metadata kept in `folder`, trusted from the bytes of `root` on.

    Raises RepositoryError where that root is none, or what is downloaded is not what it signs for.
    """

    def __init__(self, url: str, folder: Path, root: bytes, fetcher: DeadlineFetcher) -> None:
        self._folder = folder
        self._updater = Updater(
            str(folder),
            f"{url}/metadata/",
            target_base_url=f"{url}/targets/",
            fetcher=fetcher,
            config=CONFIG,
            bootstrap=root,
        )

    def refresh(self) -> None:
        """Bring root, timestamp, snapshot and targets up to date, and verify them."""
        self._updater.refresh()

    def describe(self) -> tuple[int, bytes, float]:
        """Of what was verified: the newest root's number, the timestamp's bytes, and when the first role ends (as time.time)."""
        signed = {role: json.loads((self._folder / f"{role}.json").read_bytes())["signed"] for role in ROLES}
        ends = (datetime.fromisoformat(item["expires"]).timestamp() for item in signed.values())
        return signed["root"]["version"], (self._folder / "timestamp.json").read_bytes(), min(ends)

    def list_channels(self) -> list[str]:
        """The names of all channels, as `garments/stable`, after `refresh`."""
        targets = json.loads((self._folder / "targets.json").read_bytes())["signed"]["targets"]
        return sorted(path.removesuffix("/channel.json") for path in targets if path.endswith("/channel.json"))

    def find(self, path: str, most: int) -> TargetFile:
        """What the targets promise of a path. Raises RepositoryError where it is not there, or larger than `most` bytes."""
        target = self._updater.get_targetinfo(path)
        if target is None:
            raise RepositoryError(f"the channel has no {path}")
        if target.length > most:
            raise RepositoryError(f"{path}: {target.length:,} bytes, at most {most:,} are read")
        return target

    def read(self, path: str, most: int, place: Path) -> bytes:
        """The content of a target, from `place` where it is there already, and else downloaded to it."""
        target = self.find(path, most)
        if self._updater.find_cached_target(target, str(place)) is None:
            self._updater.download_target(target, str(place))
        content = place.read_bytes()
        target.verify_length_and_hashes(content)
        return content

    def check(self, path: str, size: int, sha256: str) -> TargetFile:
        """What the targets promise of a path. Raises RepositoryError where it is not that size and digest."""
        target = self.find(path, size)
        if target.length != size or target.hashes.get("sha256") != sha256:
            raise RepositoryError(f"{path}: its size or digest is not the one that version.json has")
        return target

    def download(self, path: str, size: int, sha256: str, place: Path) -> None:
        """Download a target of exactly that content to `place`. Raises RepositoryError where targets promise another one."""
        self._updater.download_target(self.check(path, size, sha256), str(place))
