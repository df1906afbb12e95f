"""Memory of the process that the page lives in: the kernel's high-water mark, the same for all engines."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import CDPSession

PROC = Path("/proc")


class RendererMemory:
    """Peak and baseline, in bytes, of the renderer; None off Linux, where Chromium tells neither."""

    def __init__(self, system: CDPSession, page: CDPSession) -> None:
        self._system, self._page = system, page
        self._folder: Path | None = None
        self.baseline: int | None = None
        self.method = "VmHWM of the renderer process"
        self._frozen: int | None = None

    def start(self) -> None:
        """Take the baseline and, where the kernel allows, forget the peak so far (proc_pid_clear_refs(5), value 5)."""
        self._folder = self._find_renderer()
        self._page.send("HeapProfiler.collectGarbage")  # what starting the engine left behind is not the model's
        self.baseline = self._read_status("VmRSS")
        if self._folder:
            try:
                (self._folder / "clear_refs").write_text("5", encoding="utf-8")
            except OSError:
                self.method += " (since the process began)"

    def freeze(self) -> None:
        """What comes from here on does not count."""
        self._frozen = self.peak()

    def peak(self) -> int | None:
        """Bytes."""
        if self._frozen is not None or self.baseline is None:
            return self._frozen
        # The kernel counts in lots per processor: the mark may stand a few pages below where it started.
        return max(self._read_status("VmHWM") or 0, self.baseline)

    def _find_renderer(self) -> Path | None:
        """The renderer that has computed exactly as long as the page says of its own process: there may be others."""
        if not (PROC / "self" / "status").exists():
            self.method = "the memory of the page's process is known on Linux only"
            return None
        self._page.send("Performance.enable")
        metrics = self._page.send("Performance.getMetrics")["metrics"]
        processes = self._system.send("SystemInfo.getProcessInfo")["processInfo"]
        self._page.send("Performance.disable")
        cpu_time = next(item["value"] for item in metrics if item["name"] == "ProcessTime")
        renderers = [item for item in processes if item["type"] == "renderer"]
        return PROC / str(min(renderers, key=lambda item: abs(item["cpuTime"] - cpu_time))["id"])

    def _read_status(self, key: str) -> int | None:
        if self._folder is None:
            return None
        lines = (self._folder / "status").read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1]) * 1024
