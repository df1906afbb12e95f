"""A real machine by ssh, as a Raspberry Pi: the same Python worker copied to it, its figures measured there.

The machine needs Python 3.11 or later with numpy and a runtime (`pip install ai-edge-litert`), and a login without a
password. Models are copied once, under their digests.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from edgeship.devices.profiles import HOST
from edgeship.errors import InputError, MissingDependencyError, ProcessError, brief_message
from edgeship.processes.environment import SSH, child_environment, find_program, matching_variables
from edgeship.runtimes import registry
from edgeship.runtimes.launchers.launcher import PATIENCE, Launcher, install_folder, install_place
from edgeship.runtimes.worker_files import worker_files
from edgeship.storage import digest

OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
# What the board says of itself when it is set up.
FACTS = (
    "import importlib.metadata as m, json, platform, sys\n"
    "def version(name):\n"
    "    try: return m.version(name)\n"
    "    except m.PackageNotFoundError: return None\n"
    "print(json.dumps({'python': list(sys.version_info[:2]), 'machine': platform.machine(), "
    "'system': platform.platform(), 'versions': {name: version(name) for name in sys.argv[1:]}}))"
)
OLDEST = (3, 11)


class SshLauncher(Launcher):
    """Workers on another machine."""

    uses_host_time = False

    @property
    def host(self) -> str:
        """Where ssh goes. Raises InputError for what ssh would take as an option."""
        host = str(self.device.launch["host"])
        if not HOST.fullmatch(host):
            raise InputError(f"device {self.device.name}: host = {host!r} is no place for ssh")
        return host

    @property
    def base(self) -> str:
        """The folder there, relative to the login's own."""
        return str(self.device.launch.get("folder", ".cache/edgeship"))

    @property
    def python(self) -> str:
        """The interpreter there."""
        return str(self.device.launch.get("python", "python3"))

    @property
    def folder(self) -> Path:
        """What was found there when the worker was copied."""
        return install_place("remote", self.host, self.base, self.python, worker_files().name)

    @property
    def facts(self) -> dict[str, Any]:
        """The machine's kind, its Python, and its versions by distribution; empty where it is not set up."""
        path = self.folder / "facts.json"
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return content

    def unavailable_reason(self) -> str | None:
        """Why it cannot be used; whether it is reachable shows when a worker starts."""
        return None if self.facts else f"the worker has not been copied to {self.host}"

    def version(self, runtime: str) -> str | None:
        """The version there."""
        version = self.facts.get("versions", {}).get(registry.find(runtime).distribution)
        return str(version) if version else None

    def identity(self, runtime: str) -> list[str | None]:
        """The machine, its system and its versions."""
        return [runtime, self.host, digest.of_json(self.facts)]

    def launch(self, runtime: str) -> registry.Launch:
        """A worker there, fed through ssh."""
        self.require()
        if not self.version(runtime):
            raise MissingDependencyError(
                f"device {self.device.name}: {self.host} has no {registry.find(runtime).distribution or runtime}"
            )
        command = f"exec env OPENBLAS_NUM_THREADS=1 PYTHONPATH=. {self._quoted_python()} -P -m edgeship.runtimes.worker"
        start = (*self._ssh_command(), f"{self._enter_folder()} && {command} --runtime {runtime}")
        return registry.Launch(start, matching_variables(SSH), upload=self.upload)

    def upload(self, path: Path) -> str:
        """Copy a model there unless it is there already, and return its place."""
        if not path.is_file():
            raise InputError(f"{path}: only models in one file go to another machine")
        target = f"models/{digest.of_path(path)[:24]}{path.suffix}"
        quoted = shlex.quote(target)
        command = f"test -f {quoted} || {{ mkdir -p models && cat > {quoted}.part && mv {quoted}.part {quoted}; }}"
        self._run_there(
            f"{self._enter_folder()} && {command}", f"copying {path.name} to {self.host}", path.read_bytes()
        )
        return target

    def install(self) -> Path:
        """Copy the worker and ask what is there."""
        if not find_program("ssh"):
            raise MissingDependencyError("a device by ssh needs ssh, which is not on the path")
        shutil.rmtree(self.folder, ignore_errors=True)  # asked again: the machine may have been changed
        return install_folder(self.folder, self._copy_worker)

    def _copy_worker(self, draft: Path) -> None:
        base = shlex.quote(self.base)
        self._run_there(f"mkdir -p {base} && tar -xf - -C {base}", f"copying the worker to {self.host}", _pack_worker())
        names = " ".join(map(shlex.quote, sorted(_known_distributions())))
        answer = self._run_there(
            f"env PYTHONSAFEPATH=1 {self._quoted_python()} -c {shlex.quote(FACTS)} {names}",
            f"looking at {self.host}",
            b"",
        )
        facts = json.loads(answer)
        if tuple(facts["python"]) < OLDEST:
            raise MissingDependencyError(
                f"{self.host} has Python {'.'.join(map(str, facts['python']))}, and 3.11 is needed"
            )
        if not any(facts["versions"].values()):
            raise MissingDependencyError(f"{self.host} has no runtime; install one there: pip install ai-edge-litert")
        (draft / "facts.json").write_text(json.dumps(facts), encoding="utf-8")

    def _ssh_command(self) -> tuple[str, ...]:
        return (find_program("ssh") or "ssh", *OPTIONS, "--", self.host)

    def _quoted_python(self) -> str:
        return shlex.quote(self.python)

    def _enter_folder(self) -> str:
        return f"cd {shlex.quote(self.base)}"

    def _run_there(self, command: str, what: str, content: bytes) -> str:
        try:
            process = subprocess.run(
                [*self._ssh_command(), command],
                input=content,
                capture_output=True,
                check=False,
                timeout=PATIENCE,
                env=child_environment(None, SSH),
            )
        except subprocess.TimeoutExpired as error:
            raise ProcessError(f"{what} took longer than {PATIENCE:.0f} s") from error
        if process.returncode:
            lines = [line for line in process.stderr.decode(errors="replace").splitlines() if line.strip()] or [
                "nothing"
            ]
            raise ProcessError(f"{what} failed; ssh says: {brief_message(lines[-1])}")
        return process.stdout.decode()


def _known_distributions() -> set[str]:
    """The packages that a worker there may find."""
    return {runtime.distribution for runtime in registry.ALL.values() if runtime.distribution}


def _pack_worker() -> bytes:
    """The worker's files as a tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        folder = worker_files()
        for path in sorted(folder.rglob("*.py")):
            archive.add(path, os.fspath(path.relative_to(folder)))
    return content.getvalue()
