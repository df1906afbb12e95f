"""An Android phone by adb: found, and told how to measure on it by hand.

edgeship's worker is Python on glibc, which a phone has not. No way to run it there has been tried on a phone, so none is
offered: what is prepared is the command for Google's own `benchmark_model`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from edgeship.errors import MissingDependencyError
from edgeship.processes.environment import ADB, child_environment, find_program
from edgeship.runtimes.launchers.launcher import Launcher
from edgeship.runtimes.registry import Launch

SECONDS = 20  # adb starts a server of its own first
FOLDER = "/data/local/tmp"
COMMAND = (
    f"adb push benchmark_model BUNDLE/tflite/int8.tflite {FOLDER}/ && "
    f"adb shell {FOLDER}/benchmark_model --graph={FOLDER}/int8.tflite --num_threads=1"
)


class AdbLauncher(Launcher):
    """Never available: its figures are taken by hand."""

    uses_host_time = False

    def unavailable_reason(self) -> str:
        """Whether adb is missing, or what it cannot do."""
        if not find_program("adb"):
            return "adb is not on the path"
        return "edgeship runs nothing on a phone"

    @property
    def hint(self) -> str:
        """What to do instead."""
        if not find_program("adb"):
            return "install adb (Debian: apt-get install adb), then see docs/devices.md, Android"
        return f"measure by hand, with Google's benchmark_model for android_aarch64: {COMMAND}"

    def version(self, runtime: str) -> str | None:
        """None: it is not known which one an app carries."""
        return None

    def launch(self, runtime: str) -> Launch:
        """Refused, with what to do."""
        raise self._unavailable_error(self.unavailable_reason())

    def install(self) -> Path:
        """Refused, with what to do; where adb is there, only once a phone answers it."""
        if adb := find_program("adb"):
            try:
                process = subprocess.run(
                    [adb, "get-state"],
                    capture_output=True,
                    encoding="utf-8",
                    errors="replace",
                    check=False,
                    timeout=SECONDS,
                    env=child_environment(None, ADB),
                )
            except subprocess.TimeoutExpired as error:
                raise MissingDependencyError(f"adb gave no answer within {SECONDS} s") from error
            if process.returncode:
                lines = [line for line in process.stderr.splitlines() if line.strip()] or ["nothing"]
                raise MissingDependencyError(
                    f"no phone answers adb, which says: {lines[-1].strip()}; connect one with USB debugging on"
                )
        raise self._unavailable_error(self.unavailable_reason())

    def _unavailable_error(self, reason: str) -> MissingDependencyError:
        return MissingDependencyError(f"device {self.device.name} is not available: {reason}; {self.hint}")
