"""The machine itself, with edgeship's own runtimes."""

from __future__ import annotations

from pathlib import Path

from edgeship.errors import MissingDependencyError
from edgeship.runtimes import registry
from edgeship.runtimes.devices.station import Station


class Direct(Station):
    """Workers as plain processes."""

    def unavailable(self) -> str:
        """Empty: this machine is here. Whether a runtime is, says `registry`."""
        return ""

    def version(self, runtime: str) -> str | None:
        """The installed version."""
        return registry.find(runtime).version()

    def launch(self, runtime: str) -> registry.Launch:
        """A worker in edgeship's own environment or the runtime's."""
        return registry.find(runtime).launch()

    def install(self) -> Path:
        """Refused: there is nothing to install."""
        raise MissingDependencyError(f"device {self.device.name} is this machine; see `edgeship runtimes`")
