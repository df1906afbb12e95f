"""Runtimes in a Python environment of their own: what they need does not go together with what edgeship needs.

Each has a file of pinned requirements, `<runtime>.txt`, with the digests of all their files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import filelock
import platformdirs

from edgeship.errors import ProcessError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.processes.environment import NETWORK, child_environment
from edgeship.runtimes.interpreters import compile_all, find_python311, interpreter_of, pip_command
from edgeship.storage import cache, installed

HERE = Path(__file__).parent


def home() -> Path:
    """Where runtimes with an environment of their own are kept."""
    return Path(platformdirs.user_data_dir("edgeship")) / "runtimes"


@dataclass(frozen=True)
class OwnEnvironment:
    """The environment of the runtime, and distribution, `name`.

    `python311`: why it takes a Python 3.11; without a reason it is made of the one that runs. `place` has its requirements, and
    `installed_by` is what `edgeship runtimes install` calls it, where that is another name.
    """

    name: str
    python311: str = ""
    place: Path = HERE
    installed_by: str = ""

    @property
    def requirements(self) -> Path:
        """What is installed, with digests."""
        return self.place / f"{self.name}.txt"

    @property
    def command(self) -> str:
        """What installs it."""
        return f"edgeship runtimes install {self.installed_by or self.name}"

    @property
    def folder(self) -> Path:
        """Named after its pinned requirements: other pins make another environment."""
        return home() / f"{self.name}-{hashlib.sha256(self.requirements.read_bytes()).hexdigest()[:12]}"

    def python(self) -> Path:
        """The environment's interpreter. Raises InputError where the environment is not what was installed."""
        installed.check(self.folder, self.command)
        return interpreter_of(self.folder)

    def version(self) -> str | None:
        """The version in the environment, or None."""
        pattern = f"{self.name.replace('-', '_')}-*.dist-info"
        places = [
            *self.folder.glob(f"lib/python*/site-packages/{pattern}"),
            *self.folder.glob(f"Lib/site-packages/{pattern}"),
        ]
        return sorted(places)[0].name.removesuffix(".dist-info").partition("-")[2] if places else None

    def unavailable_reason(self) -> str | None:
        """Why it cannot be used."""
        interpreter = interpreter_of(self.folder)
        if self.version() and interpreter.exists():
            return None
        if self.version():
            return f"the interpreter that its environment was made with is gone ({interpreter.resolve()})"
        return "its environment has not been made"

    def install(self) -> Path:
        """Make the environment, whole or not at all, and return its folder."""
        final = self.folder
        cache.own_folder(final.parent)
        with filelock.FileLock(final.with_suffix(".lock")):
            if not self.unavailable_reason():
                return final
            # An environment without pip can be moved: its interpreter is a link and nothing in it is started by its path.
            draft = Path(tempfile.mkdtemp(prefix="draft-", dir=final.parent))
            try:
                self._fill(draft)
                installed.record(draft)
                shutil.rmtree(final, ignore_errors=True)
                draft.rename(final)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return final

    def _fill(self, draft: Path) -> None:
        python = find_python311(self.python311) if self.python311 else sys.executable
        _run_installer([python, "-I", "-m", "venv", "--without-pip", os.fspath(draft)], "making the environment")
        options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", os.fspath(self.requirements)]
        _run_installer(pip_command(*options, python=interpreter_of(draft)), f"installing {self.name}")
        compile_all(interpreter_of(draft), draft)


def _run_installer(command: list[str], what: str) -> None:
    env = child_environment(None, NETWORK)
    process = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env)
    if process.returncode:
        lines = [line for line in (process.stderr + process.stdout).splitlines() if line.strip()] or ["no message"]
        raise ProcessError(f"{what} failed; nothing was installed. {command[0]} says: {brief_message(lines[-1])}")
