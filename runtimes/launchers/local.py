"""The machine itself, with edgeship's own runtimes; a profile may leave a worker less memory or fewer cores."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

from edgeship.devices.profiles import Device
from edgeship.errors import InputError, MissingDependencyError
from edgeship.runtimes import registry, session
from edgeship.runtimes.launchers.launcher import Launcher
from edgeship.types import Artifact

UNITS = {"MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}
# Limits are set by a Python that then becomes the worker: no shell, no other tool.
LIMITED = (
    "import os, resource, sys\n"
    "memory, cores = int(sys.argv[1]), int(sys.argv[2])\n"
    "if memory: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))\n"
    "if cores: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])\n"
    "os.execvp(sys.argv[3], sys.argv[3:])"
)


class LocalLauncher(Launcher):
    """Workers as plain processes."""

    timeout = session.TIMEOUT

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.compared_with_host = bool(self.memory_limit)  # it may fail where this machine does not

    @property
    def memory_limit(self) -> str:
        """The profile's text, as "512 MB"."""
        return str(self.device.launch.get("memory", ""))

    @property
    def memory(self) -> int:
        """The most bytes of private memory that a worker may have (RLIMIT_DATA: files mapped into memory do not count); 0: all.

        Raises InputError where the profile's text is no amount.
        """
        text = self.memory_limit
        if not text:
            return 0
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
        if not match or match[2].upper() not in UNITS:
            raise InputError(f'device {self.device.name}: memory = {text!r} must be an amount as "512 MB"')
        return int(float(match[1]) * UNITS[match[2].upper()])

    @property
    def cores(self) -> int:
        """How many cores a worker is pinned to; 0: all."""
        text = str(self.device.launch.get("cores", "0"))
        if not text.isdecimal():
            raise InputError(f'device {self.device.name}: cores = {text!r} must be a whole number as "1"')
        return int(text)

    @property
    def is_limited(self) -> bool:
        """Whether its workers are not simply those of this machine."""
        return bool(self.memory or self.cores)

    def unavailable_reason(self) -> str | None:
        """Why it cannot be limited here. Whether a runtime is here, says `registry`."""
        limited = self.is_limited and sys.platform != "linux"
        return "limits of memory and cores need Linux" if limited else None

    @property
    def hint(self) -> str:
        """What to do where it is not available."""
        return "use the device host"

    def version(self, runtime: str) -> str | None:
        """The installed version."""
        return registry.find(runtime).version()

    def launch(self, runtime: str) -> registry.Launch:
        """A worker in edgeship's own environment or the runtime's, within the profile's limits."""
        self.require()
        plain = registry.find(runtime).launch()
        if not self.is_limited:
            return plain
        start = (sys.executable, "-I", "-c", LIMITED, str(self.memory), str(self.cores))
        return replace(plain, command=(*start, *plain.command))

    def identity(self, runtime: str) -> list[str | None]:
        """The runtime's own."""
        return registry.find(runtime).identity()

    def refusal(self, runtime: registry.Runtime, artifact: Artifact) -> str | None:
        """Why the runtime does not take the artifact, or why it is not here."""
        return runtime.refusal(artifact) or runtime.unavailable_reason()

    def launch_for(self, runtime: str, *, timed: bool) -> registry.Launch:
        """As `launch`; where nothing is timed a worker may have all cores."""
        return self.launch(runtime) if timed or self.memory_limit else registry.find(runtime).launch()

    def install(self) -> Path:
        """Refused: there is nothing to install."""
        raise MissingDependencyError(f"device {self.device.name} is this machine; see `edgeship runtimes`")
