"""tflite-runtime, in a Python environment of its own: it needs numpy 1 and ends at Python 3.11."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import filelock
import platformdirs

from edgeship.errors import ProcessError, brief_message
from edgeship.processes.environment import NETWORK, child_environment
from edgeship.runtimes.interpreters import compile_all, find_python311, interpreter_of, pip_command
from edgeship.storage import cache, installed

REQUIREMENTS = Path(__file__).parent / "tflite-runtime.txt"
WHY = "tflite-runtime 2.14 has no wheels for Python after 3.11"


def home() -> Path:
    """Where runtimes with an environment of their own are kept."""
    return Path(platformdirs.user_data_dir("edgeship")) / "runtimes"


def _environment_folder() -> Path:
    """Named after its pinned requirements: other pins make another environment."""
    return home() / f"tflite-runtime-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]}"


def python() -> Path:
    """The environment's interpreter. Raises InputError where the environment is not what was installed."""
    installed.check(_environment_folder(), "edgeship runtimes install tflite-runtime")
    return interpreter_of(_environment_folder())


def version() -> str | None:
    """The version in the environment, or None."""
    places = sorted(_environment_folder().glob("lib/python*/site-packages/tflite_runtime-*.dist-info"))
    return places[0].name.removesuffix(".dist-info").partition("-")[2] if places else None


def unavailable_reason() -> str | None:
    """Why it cannot be used."""
    interpreter = interpreter_of(_environment_folder())
    if version() and interpreter.exists():
        return None
    if version():
        return f"the interpreter that its environment was made with is gone ({interpreter.resolve()})"
    return "its environment has not been made"


def install() -> Path:
    """Make the environment, whole or not at all, and return its folder."""
    final = _environment_folder()
    cache.own_folder(final.parent)
    with filelock.FileLock(final.with_suffix(".lock")):
        if not unavailable_reason():
            return final
        # An environment without pip can be moved: its interpreter is a link and nothing in it is started by its path.
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=final.parent))
        try:
            _run_installer(
                [find_python311(WHY), "-I", "-m", "venv", "--without-pip", os.fspath(draft)], "making the environment"
            )
            options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", os.fspath(REQUIREMENTS)]
            _run_installer(pip_command(*options, python=interpreter_of(draft)), "installing tflite-runtime")
            compile_all(interpreter_of(draft), draft)
            installed.record(draft)
            shutil.rmtree(final, ignore_errors=True)
            draft.rename(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return final


def _run_installer(command: list[str], what: str) -> None:
    env = child_environment(None, NETWORK)
    process = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env)
    if process.returncode:
        lines = [line for line in (process.stderr + process.stdout).splitlines() if line.strip()] or ["no message"]
        raise ProcessError(f"{what} failed; nothing was installed. {command[0]} says: {brief_message(lines[-1])}")
