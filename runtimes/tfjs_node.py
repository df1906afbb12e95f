"""TF.js under Node: where node and the pinned npm packages are, and how they get there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import filelock

from edgeship.errors import MissingDependencyError, ProcessError, brief_message
from edgeship.processes.environment import NETWORK, child_environment, find_program
from edgeship.runtimes import own_environment
from edgeship.storage import installed
from edgeship.storage.cache import own_folder

SOURCE = Path(__file__).parent / "tfjs"
MANIFESTS = ("package.json", "package-lock.json")
PROGRAMS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")  # how programs of Linux and macOS begin
OLDEST = (20, 0)  # of the worker
OLDEST_TO_BUILD = (20, 19)  # of Vite, which builds the pages


def _user_folder() -> Path:
    """The packages of those who installed edgeship by pip, named after the lock file."""
    return own_environment.home() / f"tfjs-node-{hashlib.sha256((SOURCE / MANIFESTS[1]).read_bytes()).hexdigest()[:12]}"


def _pinned_packages() -> dict[str, str]:
    """The pinned packages and versions that the worker loads."""
    dependencies = json.loads((SOURCE / MANIFESTS[0]).read_text(encoding="utf-8"))["dependencies"]
    return {str(name): str(version) for name, version in dependencies.items()}


def _find_modules() -> Path | None:
    """The folder that holds `node_modules` at the pinned versions: a checkout's own, or the user's."""
    return next((folder for folder in (SOURCE, _user_folder()) if _is_complete(folder)), None)


def _is_complete(folder: Path) -> bool:
    for name, version in _pinned_packages().items():
        try:
            package = json.loads((folder / "node_modules" / name / "package.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if package["version"] != version:
            return False
    return True


@cache
def _find_node() -> tuple[str, tuple[int, int]] | None:
    """The path of node, and its major and minor version."""
    path = find_program("node")
    if not path:
        return None
    # A version manager's stand-in obeys files of the folder that it works in, and some of them name programs: it is asked
    # where the program itself is, in a folder of ours, and is not used any further.
    match = re.match(r"v(\d+)\.(\d+)", _ask_program(path, "--version"))
    itself = _program_itself(path) or _ask_program(path, "-p", "process.execPath").strip()
    return (itself if os.path.isabs(itself) else path, (int(match[1]), int(match[2]))) if match else None


def _program_itself(path: str) -> str:
    """The file behind a path, where it is node's own program; empty for scripts and for links to a version manager.

    To start node and have it say so takes ten times as long as its `--version`.
    """
    target = os.path.realpath(path)
    with contextlib.suppress(OSError), open(target, "rb") as stream:
        if Path(target).stem in ("node", "nodejs") and stream.read(4) in PROGRAMS:
            return target
    return ""


def _ask_program(*command: str) -> str:
    """What a program prints in a folder where nothing lies that it would obey."""
    env = child_environment()
    process = subprocess.run(
        command, cwd=SOURCE, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env
    )
    return process.stdout


def version() -> str | None:
    """The version of TF.js, or None where its packages are not installed."""
    return _pinned_packages()["@tensorflow/tfjs-core"] if _find_modules() else None


def unavailable_reason() -> str | None:
    """Why it cannot be used."""
    node = _find_node()
    if node is None:
        return "node is not on the path (Node 20 or later is needed)"
    if node[1] < OLDEST:
        return f"node is version {node[1][0]}, and {OLDEST[0]} or later is needed"
    return None if _find_modules() else "its npm packages are not installed"


def build_problem() -> str | None:
    """Why pages cannot be built."""
    node = _find_node()
    need = f"needs Node {OLDEST_TO_BUILD[0]}.{OLDEST_TO_BUILD[1]} or later with npm"
    if node is None or not find_program("npm"):
        return need
    return None if node[1] >= OLDEST_TO_BUILD else f"{need}; here is Node {node[1][0]}.{node[1][1]}"


def command() -> tuple[str, ...]:
    """The worker's command line.

    Raises MissingDependencyError where it is not available, InputError where its packages are not what was installed.
    """
    node, modules = _find_node(), _find_modules()
    if node is None or modules is None:
        raise MissingDependencyError(f"the runtime tfjs-node is not available: {unavailable_reason()}")
    if modules == _user_folder():
        installed.check(modules, "edgeship runtimes install tfjs-node")
    return (node[0], os.fspath(SOURCE / "worker.mjs"), "--modules", os.fspath(modules))


def install() -> Path:
    """Run `npm ci` on the pinned packages in the user's folder, whole or not at all, and return the folder in use."""
    if not unavailable_reason():
        return _find_modules() or SOURCE
    node, npm = _find_node(), find_program("npm")
    if node is None or node[1] < OLDEST or npm is None:
        reason = unavailable_reason() if node is None or node[1] < OLDEST else "npm is not on the path"
        raise MissingDependencyError(f"{reason}; install Node {OLDEST[0]} or later with npm")
    final = _user_folder()
    own_folder(final.parent)
    with filelock.FileLock(final.with_suffix(".lock")):
        if _is_complete(final):
            return final
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=final.parent))
        try:
            for name in MANIFESTS:
                shutil.copyfile(SOURCE / name, draft / name)
            options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            env = child_environment(None, NETWORK)
            process = subprocess.run(
                [npm, *options],
                cwd=draft,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                env=env,
            )
            if process.returncode:
                lines = [line for line in process.stderr.splitlines() if line.strip()] or ["no message"]
                raise ProcessError(f"npm ci failed; nothing was installed. It says: {brief_message(lines[0])}")
            installed.record(draft)
            shutil.rmtree(final, ignore_errors=True)
            draft.rename(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return final
