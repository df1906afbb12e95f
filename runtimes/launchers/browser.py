"""Chromium on this machine, also slowed down: its workers are those of the runtimes that run in a page."""

from __future__ import annotations

from pathlib import Path

from edgeship.runtimes import registry
from edgeship.runtimes.browser import requirements
from edgeship.runtimes.launchers.launcher import Launcher


class BrowserLauncher(Launcher):
    """A browser needs Chromium, Playwright and the built page, whatever the profile adds."""

    def unavailable(self) -> str:
        """Which of them is missing."""
        return requirements.unavailable()

    def version(self, runtime: str) -> str | None:
        """The engine's version with the browser's."""
        return registry.find(runtime).version()

    def launch(self, runtime: str) -> registry.Launch:
        """The worker that drives a page; what the profile says goes to it with the model."""
        return registry.find(runtime).launch()

    def install(self) -> Path:
        """Build the page; Chromium and Playwright can only be asked for."""
        return requirements.install()
