"""What lanes run with and no machine has: the C library of TensorFlow Lite and packages of npm, pinned, made on demand."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import filelock

from edgeship.errors import MissingDependencyError, ProcessError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.processes.environment import NETWORK, child_environment, find_program
from edgeship.runtimes.interpreters import pip_command
from edgeship.runtimes.own_environment import home
from edgeship.storage import cache, installed

HERE = Path(__file__).parent
# The wheel of a wake-word package (Apache-2.0) is the only one that holds the whole C API.
WHEELS = HERE / "tflite-c.txt"
LIBRARY = "pymicro_wakeword/lib/libtensorflowlite_c.so"
MANIFESTS = ("package.json", "package-lock.json", ".npmrc")


@dataclass(frozen=True)
class Tool:
    """A folder of pinned files: named after `pins`, made by `make(draft)`, whole or not at all."""

    name: str
    pins: Path
    make: Callable[[Path], None]

    @property
    def folder(self) -> Path:
        """Where it lies: other pins make another folder."""
        return home() / f"{self.name}-{hashlib.sha256(self.pins.read_bytes()).hexdigest()[:12]}"

    def install(self) -> Path:
        """Make the folder where it is not there, and return it."""
        final = self.folder
        cache.own_folder(final.parent)
        with filelock.FileLock(final.with_suffix(".lock")):
            if final.exists():
                return final
            draft = Path(tempfile.mkdtemp(prefix="draft-", dir=final.parent))
            try:
                self.make(draft)
                installed.record(draft)
                draft.rename(final)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return final

    def require(self, lane: str) -> Path:
        """The folder. Raises MissingDependencyError where it is not made, InputError where it is not what was installed."""
        command = f"edgeship runtimes install {lane}"
        if not self.folder.exists():
            raise MissingDependencyError(f"{lane} is not installed; install it with: {command}")
        installed.check(self.folder, command)
        return self.folder


def run_command(command: Sequence[str], what: str, cwd: Path | None = None, *, network: bool = False) -> str:
    """Standard output of a command. Raises ProcessError with the last lines that it says where it fails."""
    env = child_environment(None, *([NETWORK] if network else []))
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env
    )
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "error" in line] or [
            done.stderr,
            done.stdout,
        ]
        raise ProcessError(f"{what} failed. {Path(command[0]).name} says: {brief_message(lines[0])}")
    return done.stdout


def _install_wheels(draft: Path) -> None:
    _unpack_wheels(draft)


def _install_arm64_wheels(draft: Path) -> None:
    """For another processor than this one: uv and pip say that differently."""
    uv = Path(pip_command()[0]).stem == "uv"
    platform = ["--python-platform", "aarch64-manylinux_2_35"] if uv else ["--platform", "manylinux_2_35_aarch64"]
    _unpack_wheels(draft, "--python-version", "3.11", *platform)


def _unpack_wheels(draft: Path, *platform: str) -> None:
    pins = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", os.fspath(draft)]
    command = pip_command(*pins, *platform, "-r", os.fspath(WHEELS))
    run_command(command, "installing TensorFlow Lite's C library", network=True)


def _install_packages(source: Path) -> Callable[[Path], None]:
    def make(draft: Path) -> None:
        npm = find_program("npm")
        if npm is None:
            raise MissingDependencyError("npm is not on the path; install Node 20 or later with npm")
        for name in MANIFESTS:
            shutil.copyfile(source / name, draft / name)
        options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        run_command([npm, *options], "npm ci", draft, network=True)

    return make


TFLITE_C = Tool("tflite-c", WHEELS, _install_wheels)
TFLITE_C_ARM64 = Tool("tflite-c-arm64", WHEELS, _install_arm64_wheels)
TYPESCRIPT = Tool("client-ts", HERE / "typescript" / MANIFESTS[1], _install_packages(HERE / "typescript"))
LITERT_JS = Tool("litertjs", HERE / "litertjs" / MANIFESTS[1], _install_packages(HERE / "litertjs"))
KOTLIN = Tool("client-kotlin", HERE / "kotlin" / MANIFESTS[1], _install_packages(HERE / "kotlin"))


def find_compiler() -> str | None:
    """The C compiler."""
    return find_program("cc") or find_program("gcc")


def tflite_library() -> Path:
    """TensorFlow Lite's C library."""
    return TFLITE_C.folder / LIBRARY
