"""What every way of starting workers provides, and the folder and the commands that installers share."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import filelock

from edgeship.data import Batch
from edgeship.devices.profiles import Device
from edgeship.errors import MissingDependencyError, ProcessError, brief_message
from edgeship.processes.environment import NETWORK, child_environment, find_program
from edgeship.runtimes.registry import Launch, Runtime
from edgeship.runtimes.session import Session, open_session
from edgeship.runtimes.worker_pool import Pool
from edgeship.storage import cache, digest, installed
from edgeship.types import Artifact, Bridge

# Seconds that one command of an installation may take: downloads over a slow line included.
PATIENCE = 900.0


class Launcher(ABC):
    """Starts the workers of one device.

    Attributes: `compared_with_host` (whether what it computes is compared to the bit with this machine's usual runtime, in a
    cell of the parity matrix), `uses_host_time` (whether its times are this machine's, so that it must be quiet and do nothing
    else while they are taken), `emulates` (whether it is believed only where it gives the known outputs of a known model),
    `timeout` (seconds that its worker may stay silent, loading a model included).
    """

    compared_with_host: bool = True
    uses_host_time: bool = True
    emulates: bool = False
    timeout: float = 300.0

    def __init__(self, device: Device) -> None:
        self.device = device

    @abstractmethod
    def unavailable_reason(self) -> str | None:
        """Why it cannot be used, without the command that would help."""

    @abstractmethod
    def version(self, runtime: str) -> str | None:
        """The version of one of its runtimes."""

    @abstractmethod
    def launch(self, runtime: str) -> Launch:
        """How a worker of that runtime is started. Raises MissingDependencyError where the device is not installed."""

    @abstractmethod
    def install(self) -> Path:
        """Set it up, whole or not at all, and return its folder. Does nothing where it is there already."""

    def open(
        self,
        runtime: str,
        path: Path,
        *,
        timed: bool,
        threads: int | None = 1,
        sample: Batch | None = None,
        pool: Pool | None = None,
        bridge: Bridge | None = None,
    ) -> Session:
        """A model in a worker of that runtime, as the device has it; `timed`: times will be taken in this session.

        Raises what `open_session` raises; the other parameters are its.
        """
        launch, options = self.launch_for(runtime, timed=timed), self.options(timed=timed)
        return open_session(
            runtime,
            path,
            threads=threads,
            sample=sample,
            options=options,
            launch=launch,
            pool=pool,
            timeout=self.timeout,
            bridge=bridge,
        )

    def launch_for(self, runtime: str, *, timed: bool) -> Launch:
        """As `launch`, of a worker whose times are taken or not."""
        return self.launch(runtime)

    def options(self, *, timed: bool) -> Mapping[str, Any]:
        """What goes to the worker with the model. Raises InputError where the profile asks for what is none."""
        return {}

    def refusal(self, runtime: Runtime, artifact: Artifact) -> str | None:
        """Why an artifact is not run on one of its runtimes, known before anything is started."""
        return None

    @property
    def memory_limit(self) -> str:
        """The memory that a worker has, as the profile says it; empty where it has all."""
        return ""

    def identity(self, runtime: str) -> list[str | None]:
        """What a result of that runtime depends on beside the artifact and the profile: part of cache keys."""
        return [runtime, self.version(runtime)]

    @property
    def hint(self) -> str:
        """What to do where it is not available."""
        return f"install it with: edgeship devices install {self.device.name}"

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders that `install` makes."""
        return ()

    def require(self) -> None:
        """Raises MissingDependencyError where the device cannot be used, InputError where it is not what was installed."""
        if reason := self.unavailable_reason():
            raise MissingDependencyError(f"device {self.device.name} is not available: {reason}; {self.hint}")
        for folder in self.places:
            installed.check(folder, f"edgeship devices install {self.device.name}")


class InstructionCounter(Launcher):
    """A way that can count instructions."""

    @abstractmethod
    def counting_launch(self, runtime: str, out: Path) -> Launch:
        """A worker that writes a line of counters to `out` at each mark (`edgeship.runtimes.worker.instruction_marks`)."""


def devices_home() -> Path:
    """Where devices keep what they download and unpack."""
    return cache.root() / "devices"


def install_place(kind: str, *content: object) -> Path:
    """The folder of something installed, named after all that it is made of: other pins make another folder."""
    return devices_home() / f"{kind}-{digest.of_json(content)[:12]}"


def install_folder(final: Path, make: Callable[[Path], None]) -> Path:
    """`final`, made by `make(draft)` in a folder beside it unless it is there; a failure leaves nothing behind."""
    cache.own_folder(cache.root())
    cache.own_folder(final.parent)
    with filelock.FileLock(final.with_name(final.name + ".lock")):
        if final.exists():
            return final
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=final.parent))
        try:
            make(draft)
            installed.record(draft)
            draft.chmod(0o755)
            draft.rename(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return final


def run_command(
    command: list[str],
    what: str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    after: str = "; nothing was installed",
    network: bool = True,
) -> str:
    """Standard output of a command. Raises ProcessError with what it says, and with `after`, where it fails.

    `network`: it may download, and gets the settings of proxies and installers.
    """
    program = command[0] if os.path.dirname(command[0]) else find_program(command[0])
    try:
        process = subprocess.run(
            [program or command[0], *command[1:]],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            env=child_environment(env, *([NETWORK] if network else [])),
            cwd=cwd,
            timeout=PATIENCE,
        )
    except FileNotFoundError as error:
        raise MissingDependencyError(f"{what} needs {command[0]}, which is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"{what} took longer than {PATIENCE:.0f} s{after}") from error
    if process.returncode:
        problem = _error_line(process.stderr + "\n" + process.stdout)
        raise ProcessError(f"{what} failed{after}. {Path(command[0]).name} says: {brief_message(problem)}")
    return process.stdout


def _error_line(text: str) -> str:
    """The line in which a tool says what is wrong, with the innermost cause that uv gives; else its last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["nothing"]
    line = next((line for line in lines if line.startswith(("error", "ERROR", "E:"))), lines[-1])
    causes = [line.removeprefix("cause: ") for line in lines if line.startswith("cause: ")]
    return f"{line}: {causes[-1]}" if causes else line
