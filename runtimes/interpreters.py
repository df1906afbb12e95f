"""What an environment beside this one takes: a Python 3.11 that runs, and uv or pip to install into it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edgeship.errors import MissingDependencyError, brief_message
from edgeship.processes.environment import child_environment, find_program

HERE = Path(__file__).parent
VERSION = (3, 11)
CHECK = f"import sys, venv; print(sys.executable); sys.exit(sys.version_info[:2] != {VERSION})"


def interpreter_of(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def find_python311(why: str) -> str:
    """The running Python, or the first python3.11 on the path that works, itself: a shim of pyenv may be there and fail.

    It is asked in a folder of ours, as a shim obeys files of the one that it works in.

    Raises MissingDependencyError, beginning with `why` it is needed, where there is none.
    """
    if sys.version_info[:2] == VERSION:
        return sys.executable
    problem = "no python3.11 is on the path"
    places = [place for folder in os.get_exec_path() if (place := find_program("python3.11", path=folder))]
    for place in dict.fromkeys(places):
        command, env = [place, "-I", "-c", CHECK], child_environment()
        process = subprocess.run(
            command, cwd=HERE, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env
        )
        itself = process.stdout.strip()
        if not process.returncode:
            return itself if os.path.isabs(itself) else place
        lines = [line.strip() for line in process.stderr.splitlines() if line.strip()] or [
            f"exit code {process.returncode}"
        ]
        problem = f"{place} does not work ({brief_message(lines[0], 200)})"
    raise MissingDependencyError(f"{why}, and {problem}; install Python 3.11 beside this one")


def compile_all(python: Path, folder: Path) -> None:
    """Byte-code of all modules in an environment: a worker writes none there, and would else compile them at each start."""
    command = [os.fspath(python), "-I", "-m", "compileall", "-q", os.fspath(folder)]
    subprocess.run(command, capture_output=True, check=False, env=child_environment())


def pip_command(*options: str, python: Path | None = None, uv: bool = True) -> list[str]:
    """An install command for this or another interpreter: uv where there is one and it will do, else pip.

    That is this Python's or the one beneath it. Paths among the options must be absolute: uv obeys the pyproject.toml of the
    folder that it works in (an override there would replace a pin), so it works in one that has none.
    """
    here = os.fspath(Path(sys.executable).parent)
    target = ["--python", os.path.abspath(python)] if python else []
    uv_path = find_program("uv", path=os.pathsep.join([here, os.environ.get("PATH", "")])) if uv else None
    if uv_path:
        return [uv_path, "--directory", Path(here).anchor, "pip", "install", "--quiet", *target, *options]
    for interpreter in dict.fromkeys((sys.executable, getattr(sys, "_base_executable", sys.executable))):
        start, env = [interpreter, "-P", "-m", "pip"], child_environment()
        if not subprocess.run([*start, "--version"], capture_output=True, check=False, env=env).returncode:
            return [*start, *target, "install", "--quiet", "--disable-pip-version-check", *options]
    tools, what = ("uv or pip", "uv") if uv else ("pip", "pip")
    raise MissingDependencyError(f"installing this needs {tools}, and this Python has none: install {what}")
