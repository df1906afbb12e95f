"""Resident memory of this process: the kernel's high-water mark on Linux, `getrusage` on macOS, not known on Windows."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


class Memory:
    """Peak and baseline of a measurement that starts with `start()`.

    The baseline is the resident set when the runtime has been imported and no model loaded; the peak is the highest
    resident set since. `freeze()` ends it, where what follows (LoadGen's own tables) is not the model's. Both are None where
    the system tells neither; `method` then says so.
    """

    def __init__(self) -> None:
        self._frozen: int | None = None
        self.baseline: int | None = None
        self.method = "VmHWM" if STATUS.exists() else "ru_maxrss"

    def start(self) -> None:
        """Take the baseline and, where the kernel allows, forget the peak so far (proc_pid_clear_refs(5), value 5)."""
        self.baseline = _read_status("VmRSS") if STATUS.exists() else _maximum_rss()
        if self.baseline is None:
            self.method = f"{sys.platform} does not tell the memory of a process as Linux and macOS do"
            return
        try:
            CLEAR_REFS.write_text("5", encoding="utf-8")
        except OSError:
            self.method += " (since the process began)"

    def freeze(self) -> None:
        """What comes from here on does not count."""
        self._frozen = self.peak()

    def peak(self) -> int | None:
        """Bytes."""
        if self._frozen is not None:
            return self._frozen
        return _read_status("VmHWM") if STATUS.exists() else _maximum_rss()


def _read_status(key: str) -> int:
    """A line such as `VmHWM:   12345 kB`, in bytes."""
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def _maximum_rss() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    # Kilobytes everywhere but on macOS, getrusage(2).
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
