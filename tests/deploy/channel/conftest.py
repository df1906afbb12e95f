"""A channel's keys and bundles, and what a client of python-tuf sees of its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from edgeship.cli.deploy.deploy import deploy
from edgeship.deploy.signing.keys import generate_keys
from tests.deploy.channel.bundles import write_bundle

NAME = "garments/stable"


class FolderFetcher(FetcherInterface):
    """Reads the files of a folder as a web server would serve them."""

    def _fetch(self, url: str) -> Any:
        path = Path(url.removeprefix("file://"))
        if not path.is_file():
            raise DownloadHTTPError(f"{path} is not there", 404)
        yield path.read_bytes()


class Watcher:
    """A client that keeps what it trusts from one look to the next: so it refuses what goes back."""

    def __init__(self, channel: Path, state: Path, root: bytes | None = None) -> None:
        self.channel, self.state = channel, state
        state.mkdir(parents=True, exist_ok=True)
        self.root = root

    def look(self, name: str = NAME) -> Any:
        """The channel's rules, with every file of every version that they lead to fetched and checked by TUF."""
        self.root = self.root or (self.channel / "metadata" / "1.root.json").read_bytes()
        updater = Updater(
            str(self.state),
            f"file://{self.channel}/metadata/",
            str(self.state),
            f"file://{self.channel}/targets/",
            FolderFetcher(),
            bootstrap=self.root,
        )
        updater.refresh()
        rules = json.loads(self.read(updater, f"{name}/channel.json"))
        base = name.partition("/")[0]
        for number in {rules["version"], rules["previous"]} - {None}:
            version = json.loads(self.read(updater, f"{base}/{number}/version.json"))
            files = [*version["shared"], *(file for item in version["artifacts"].values() for file in item["files"])]
            for file in [*files, *(patch for item in files for patch in item.get("patches", []))]:
                assert len(self.read(updater, f"{base}/files/{file['sha256']}")) == file["size"]
        return rules

    def read(self, updater: Updater, target: str) -> bytes:
        """A target, as TUF has checked it."""
        info = updater.get_targetinfo(target)
        assert info is not None, target
        return Path(updater.download_target(info, str(self.state / "target"))).read_bytes()


@pytest.fixture(scope="session")
def all_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of keys, `a` and `b`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("a", "b"):
        generate_keys(folder / name)
    return folder


@pytest.fixture(scope="session")
def keys(all_keys: Path) -> Path:
    return all_keys / "a"


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Bundles of four trainings; the first of the list is number 1."""
    folder = tmp_path_factory.mktemp("bundles")
    return [write_bundle(folder / str(number), number) for number in range(1, 5)]


@pytest.fixture(scope="session")
def published(bundles: list[Path], keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel at version 2 for 5 %, before it 1."""
    channel = tmp_path_factory.mktemp("published") / "channel"
    for bundle, percent in zip(bundles[:2], (100, 5), strict=True):
        done = run_deploy("publish", bundle, "--channel", channel, "--name", NAME, "--key", keys, "--percent", percent)
        assert done.exit_code == 0, done.output
    return channel


@pytest.fixture
def channel(published: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(published, tmp_path / "channel"))


@pytest.fixture
def watcher(channel: Path, tmp_path: Path) -> Watcher:
    """A client that has seen it."""
    watcher = Watcher(channel, tmp_path / "state")
    watcher.look()
    return watcher


def run_deploy(*arguments: object) -> Result:
    """`edgeship deploy` with these arguments; its errors as they are raised."""
    return CliRunner().invoke(deploy, [str(argument) for argument in arguments])


@pytest.fixture
def change(channel: Path, keys: Path) -> Callable[..., Result]:
    """A command on the channel's rules, with all keys: it must work."""

    def run(command: str, *arguments: object) -> Result:
        done = run_deploy(command, "--channel", channel, "--name", NAME, "--key", keys, *arguments)
        assert done.exit_code == 0, done.exception
        return done

    return run


def snapshot_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
