"""Debian packages of another architecture, without root and without touching the system: a private state for apt.

apt checks signatures as it does for the system, with the system's own sources and keys; only its state, its cache and the
architectures are ours.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from edgeship.errors import MissingDependencyError, ProcessError
from edgeship.runtimes.devices.station import home, run

FRESH_SECONDS = 86400
TRIES = 3
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def host() -> str:
    """Debian's name of this machine's architecture."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def obstacle() -> str:
    """Why packages cannot be had here; empty where they can."""
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if not shutil.which(tool)]:
        return f"{missing[0]} is not here: emulated boards are made of Debian 12 packages, so they need Debian 12"
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return "the distribution is not known: emulated boards need Debian 12"
    if system.get("VERSION_CODENAME") != "bookworm":
        return f"this is {system.get('PRETTY_NAME', 'another system')}: emulated boards are made of Debian 12 packages"
    return ""


class Packages:
    """A private apt, in the devices' folder."""

    def __init__(self) -> None:
        if reason := obstacle():
            raise MissingDependencyError(reason)
        self.folder = home() / "apt"

    def unpack(self, names: Iterable[str], into: Path) -> None:
        """Download packages (`name` or `name:architecture`) and unpack them into a folder."""
        self._update()
        archives = into.with_name(into.name + "-debs")
        archives.mkdir(parents=True)
        self._apt(["download", "--quiet", *names], "downloading packages", archives)
        into.mkdir(exist_ok=True)
        for archive in sorted(archives.glob("*.deb")):
            run(["dpkg-deb", "--extract", os.fspath(archive), os.fspath(into)], f"unpacking {archive.name}")
        shutil.rmtree(archives)

    def _update(self) -> None:
        """The package lists, not older than a day. A mirror that is being synchronized is tried again."""
        stamp = self.folder / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH_SECONDS:
            return
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "state/status").touch()
        for attempt in range(1, TRIES + 1):
            try:
                self._apt(["update", "--quiet", "--error-on=any"], "reading the package lists", self.folder)
                break
            except ProcessError:
                if attempt == TRIES:
                    raise
        stamp.touch()

    def _apt(self, arguments: list[str], what: str, cwd: Path) -> None:
        config = self.folder / "apt.conf"
        config.write_text(
            f'Dir::State "{self.folder}/state"; Dir::State::status "{self.folder}/state/status";\n'
            f'Dir::Cache "{self.folder}/cache"; APT::Sandbox::User "";\n'
            f'APT::Architecture "{host()}"; #clear APT::Architectures;\n'
            f'APT::Architectures {{ "{host()}"; "arm64"; }};\n'
        )
        run(["apt-get", *arguments], what, env={"APT_CONFIG": os.fspath(config), "LC_ALL": "C"}, cwd=cwd)
