"""Two bundles, the page with each of them, and a real browser to open it in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import filelock
import pytest

from edgeship.bundle.bundle import Bundle, open_bundle
from edgeship.demo import channel_site
from edgeship.demo import site as demo
from edgeship.demo.web_server import Server
from edgeship.errors import MissingDependencyError
from edgeship.processes.child import FunctionProcess
from edgeship.runtimes.browser import requirements

if TYPE_CHECKING:
    from tests.web_demo.channel_page import ChannelPage

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]


def shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a test run share."""
    base = factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the bundles `pictures` and `pair`, made by `edgeship convert` from models that are quick to build."""
    root = shared(tmp_path_factory) / "web-demo"
    with filelock.FileLock(root.with_suffix(".lock")):
        if not (root / "done").exists():
            root.mkdir(exist_ok=True)
            with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent)}) as tensorflow:
                tensorflow.call("small_models:build", folder=str(root))
            for name in ("pictures", "pair"):
                made = [sys.executable, "-m", "edgeship.cli", "convert", f"{name}.keras", "--to", "tfjs", "--out", name]
                env = {**os.environ, "EDGESHIP_CACHE": str(root / "cache")}
                subprocess.run([*made, "--data", f"{name}.npz"], cwd=root, env=env, check=True)
                (root / "labels.txt").unlink(missing_ok=True)  # the names are those of the first model
            (root / "done").touch()
    return root


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Path:
    """The built page; without Node there is none, and nothing to test."""
    with filelock.FileLock(shared(tmp_path_factory) / "page.lock"):
        try:
            return demo.built_page()
        except MissingDependencyError as error:
            missing(str(error))


class Stoppable(Server):
    """A server that can be stopped whole: a browser keeps its connections, and they would be answered still."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.connections: list[socket.socket] = []
        super().__init__(folder, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Site:
    """The page with a bundle, served. `server.sent` counts the bytes that left it."""

    folder: Path
    page: Path
    bundle: Bundle
    server: Stoppable = field(init=False)

    def __post_init__(self) -> None:
        self.server = Stoppable(self.folder)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, bundle: Bundle) -> None:
        """Replace what is served."""
        demo.write_site(bundle, self.folder, self.page)


@pytest.fixture
def site(bundles: Path, built: Path, tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    opened: list[Site] = []

    def serve(name: str) -> Site:
        bundle = open_bundle(bundles / name)
        demo.write_site(bundle, tmp_path / "site", built, str(bundles / f"{name}.npz"))
        opened.append(Site(tmp_path / "site", built, bundle))
        return opened[-1]

    yield serve
    for one in opened:
        one.server.stop()


@pytest.fixture
def browser(missing: Callable[[str], NoReturn]) -> Callable[..., Any]:
    """Start a real browser; `with browser(*arguments) as opened`."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = requirements.find_chromium()
    if path is None:
        missing("Chromium is not installed")

    @contextmanager
    def start(*arguments: str) -> Iterator[Any]:
        with api.sync_playwright() as playwright:
            opened = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
            try:
                yield opened
            finally:
                opened.close()

    return start


@pytest.fixture
def channel_page(bundles: Path, built: Path, tmp_path: Path) -> Iterator[ChannelPage]:
    """A channel and its page."""
    from tests.web_demo.channel_page import ChannelPage  # needs tuf
    from tests.web_demo.channels import CHANNEL, NAME, ChannelFolder

    channel, site = ChannelFolder(tmp_path / "channel"), tmp_path / "site"
    page = ChannelPage(channel, open_bundle(bundles / "pictures"), site, Stoppable)
    channel_site.write_channel_site(channel.folder, f"{NAME}/{CHANNEL}", site, built, copy=False)
    yield page
    page.server.stop()
