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

from edgeship.devices.profiles import PACKAGE
from edgeship.errors import InputError, MissingDependencyError, ProcessError
from edgeship.processes.environment import find_program
from edgeship.runtimes.launchers.launcher import devices_home, run_command

FRESH_SECONDS = 86400
TRIES = 3
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def host_architecture() -> str:
    """Debian's name of this machine's architecture."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def packages_problem() -> str:
    """Why packages cannot be had here; empty where they can."""
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if not find_program(tool)]:
        return f"{missing[0]} is not here: emulated boards are made of Debian 12 packages, so they need Debian 12"
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return "the distribution is not known: emulated boards need Debian 12"
    if system.get("VERSION_CODENAME") != "bookworm":
        return f"this is {system.get('PRETTY_NAME', 'another system')}: emulated boards are made of Debian 12 packages"
    return ""


class Packages:
    """A private apt for this machine's packages and those of one other architecture, in the devices' folder."""

    def __init__(self, architecture: str) -> None:
        if reason := packages_problem():
            raise MissingDependencyError(reason)
        self.architecture = architecture
        self.folder = devices_home() / f"apt-{architecture}"

    def unpack(self, names: Iterable[str], into: Path) -> list[str]:
        """Download packages (`name` or `name:architecture`), unpack them into a folder, return their files' names.

        Raises InputError for a name that is none, which apt might take as an option, a version or a pattern.
        """
        names = list(names)
        for name in names:
            if not PACKAGE.fullmatch(name.removesuffix(f":{self.architecture}")):
                raise InputError(f"{name!r} is not the name of a Debian package")
        incomplete = self._update_lists()
        archives = into.with_name(into.name + "-debs")
        archives.mkdir(parents=True)
        try:
            self._run_apt(["download", "--quiet", "--", *names], "downloading packages", archives)
        except ProcessError as error:
            raise incomplete or error from error
        into.mkdir(exist_ok=True)
        files = sorted(archives.glob("*.deb"))
        for archive in files:
            run_command(["dpkg-deb", "--extract", os.fspath(archive), os.fspath(into)], f"unpacking {archive.name}")
        shutil.rmtree(archives)
        return [archive.name for archive in files]

    def _update_lists(self) -> ProcessError | None:
        """The package lists, not older than a day. Returns the error where some could not be read.

        A mirror that is being synchronized is tried again; then the other lists will do if they name all that is needed.
        """
        stamp = self.folder / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH_SECONDS:
            return None
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "state/status").touch()
        failure = None
        for _ in range(TRIES):
            try:
                self._run_apt(["update", "--quiet", "--error-on=any"], "reading the package lists", self.folder)
            except ProcessError as error:
                failure = error
            else:
                stamp.touch()
                return None
        return failure

    def _run_apt(self, arguments: list[str], what: str, cwd: Path) -> None:
        config = self.folder / "apt.conf"
        config.write_text(
            f'Dir::State "{self.folder}/state"; Dir::State::status "{self.folder}/state/status";\n'
            f'Dir::Cache "{self.folder}/cache"; APT::Sandbox::User "";\n'
            f'APT::Architecture "{host_architecture()}"; #clear APT::Architectures;\n'
            f'APT::Architectures {{ "{host_architecture()}"; "{self.architecture}"; }};\n',
            encoding="utf-8",
        )
        run_command(["apt-get", *arguments], what, env={"APT_CONFIG": os.fspath(config), "LC_ALL": "C"}, cwd=cwd)
