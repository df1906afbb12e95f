"""Runtimes in Python environments of their own: what shipped apps still carry, side by side on this machine.

Pinned requirements are installed without their dependencies, which the profile lists as far as inference needs them, and
those of the built-in profiles only with the digests of `wheels.txt` (scripts/maintain/lock_devices.py writes it).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from edgeship.devices.profiles import REQUIREMENT
from edgeship.errors import InputError
from edgeship.runtimes import registry
from edgeship.runtimes.interpreters import VERSION, compile_all, find_python311, interpreter_of, pip_command
from edgeship.runtimes.launchers.launcher import Launcher, install_folder, install_place, run_command

# All of these runtimes have wheels for Python 3.11; the oldest have none for later ones.
PYTHON = VERSION
WHY = "the runtimes of this device have wheels for Python 3.11"
HASH = "--hash="
LOCKED = Path(__file__).parent / "wheels.txt"


def parse_pins(requirements: Sequence[str], where: str) -> dict[str, str]:
    """Versions by distribution. Raises InputError where one is not pinned: a device is always the same device."""
    versions = {}
    for item in requirements:
        match = REQUIREMENT.fullmatch(item)
        if not match:
            raise InputError(f"{where}: requirement {item!r} must be pinned, as numpy==1.26.4, and no more than that")
        versions[match[1]] = match[2]
    return versions


@cache
def _locked_digests() -> Mapping[str, str]:
    """The `--hash` options of each locked requirement."""
    lines = LOCKED.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    parts = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {requirement: " ".join(options) for requirement, *options in parts}


def pip_arguments(requirements: Sequence[str], folder: Path) -> list[str]:
    """The end of an install command for pinned requirements: nothing but the files whose digests are known gets in.

    Those of a user's own profile may carry theirs (`name==1.0 --hash=sha256:...`). Where none does, and not all are known,
    they are taken as the package index gives them. Raises InputError where some carry theirs, and others have none.
    """
    digests = _locked_digests()
    lines = [item if HASH in item else f"{item} {digests.get(item.strip(), '')}".strip() for item in requirements]
    unknown = [line for line in lines if HASH not in line]
    if unknown and HASH in "".join(requirements):
        raise InputError(
            f"requirements: {unknown[0]} has no digest (--hash=sha256:...), and others have; give all or none"
        )
    if unknown:
        return ["--", *requirements]
    file = folder / "requirements.txt"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return ["--require-hashes", "-r", os.path.abspath(file)]


def join_names(requirements: Sequence[str]) -> str:
    """Requirements for a message, without their digests."""
    return ", ".join(item.partition(HASH)[0].strip() for item in requirements)


class VenvLauncher(Launcher):
    """Workers in an environment that holds the profile's requirements."""

    @property
    def requirements(self) -> list[str]:
        """What the profile pins."""
        return list(self.device.launch["requirements"])

    @property
    def folder(self) -> Path:
        """The environment."""
        return install_place("environment", PYTHON, sys.platform, *sorted(self.requirements))

    @property
    def places(self) -> tuple[Path, ...]:
        """The environment."""
        return (self.folder,)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return interpreter_of(self.folder)

    def unavailable_reason(self) -> str | None:
        """Why its environment cannot be used."""
        if self.python.exists():
            return None
        is_dangling = self.python.is_symlink()
        return (
            f"the interpreter that it was made with is gone ({self.python.resolve()})"
            if is_dangling
            else "it is not installed"
        )

    def version(self, runtime: str) -> str | None:
        """The pinned version."""
        return parse_pins(self.requirements, self.device.name).get(registry.find(runtime).distribution)

    def identity(self, runtime: str) -> list[str | None]:
        """All that is pinned: numpy matters too."""
        return [runtime, *sorted(self.requirements)]

    def launch(self, runtime: str) -> registry.Launch:
        """A worker of the environment's interpreter."""
        self.require()
        return registry.python_launch(runtime, os.fspath(self.python))

    def install(self) -> Path:
        """Make the environment, of hard links into the package cache where uv is at hand."""
        parse_pins(self.requirements, self.device.name)
        if self.python.is_symlink() and not self.python.exists():
            shutil.rmtree(self.folder)
        return install_folder(self.folder, self._make_environment)

    def _make_environment(self, draft: Path) -> None:
        # An environment without pip can be moved: its interpreter is a link and nothing in it is started by its path.
        run_command(
            [find_python311(WHY), "-I", "-m", "venv", "--without-pip", os.fspath(draft)], "making the environment"
        )
        command = pip_command("--no-deps", "--only-binary", ":all:", python=interpreter_of(draft))
        run_command([*command, *pip_arguments(self.requirements, draft)], f"installing {join_names(self.requirements)}")
        compile_all(interpreter_of(draft), draft)
