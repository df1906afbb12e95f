"""Chromium on this machine, also slowed down: its workers are those of the runtimes that run in a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeship.runtimes import registry, session
from edgeship.runtimes.browser import options, requirements
from edgeship.runtimes.launchers.launcher import Launcher
from edgeship.types import Artifact


class BrowserLauncher(Launcher):
    """A browser needs Chromium, Playwright and the built page, whatever the profile adds."""

    compared_with_host = False
    timeout = session.TIMEOUT

    def unavailable_reason(self) -> str | None:
        """Which of them is missing."""
        return requirements.unavailable_reason()

    def version(self, runtime: str) -> str | None:
        """The engine's version with the browser's."""
        return registry.find(runtime).version()

    def launch(self, runtime: str) -> registry.Launch:
        """The worker that drives a page; what the profile says goes to it with the model."""
        return registry.find(runtime).launch()

    def identity(self, runtime: str) -> list[str | None]:
        """The runtime's own, with the built page."""
        return registry.find(runtime).identity()

    def refusal(self, runtime: registry.Runtime, artifact: Artifact) -> str | None:
        """Why the runtime does not run in a page, does not take the artifact, or is not here."""
        if not runtime.in_browser:
            return f"{self.device.name} is a browser, and {runtime.name} does not run in one"
        return runtime.refusal(artifact) or runtime.unavailable_reason()

    def options(self, *, timed: bool) -> Mapping[str, Any]:
        """What the profile says of the browser; where nothing is timed it need not be slowed down."""
        browser_options = options.of_profile(self.device.launch, f"device {self.device.name}, [launch]")
        return {key: value for key, value in browser_options.items() if timed or key != "throttle"}

    def install(self) -> Path:
        """Build the page; Chromium and Playwright can only be asked for."""
        return requirements.install_page()
