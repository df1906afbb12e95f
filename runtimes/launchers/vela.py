"""Arm's compiler for Ethos-U NPUs (Vela): what it can place on the NPU, and what it estimates that to cost."""

from __future__ import annotations

import csv
import math
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from edgeship.bundle.figures.device_figures import NpuEstimate
from edgeship.errors import MissingDependencyError, ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers.launcher import run_command
from edgeship.runtimes.launchers.venv import VenvLauncher, parse_pins

OPERATORS = re.compile(r"^(CPU|NPU) operators = (\d+)", re.MULTILINE)
KIB = 1024


class VelaCompiler(VenvLauncher):
    """Vela in an environment of its own; nothing runs, so there is no worker."""

    def launch(self, runtime: str) -> registry.Launch:
        """Refused: a compiler runs no model."""
        raise MissingDependencyError(f"device {self.device.name} estimates; it runs nothing")

    def version(self, runtime: str) -> str | None:
        """The compiler's pinned version."""
        return parse_pins(self.requirements, self.device.name).get("ethos-u-vela")

    def estimate(self, path: Path) -> NpuEstimate:
        """Compile a `.tflite` file and return what Vela says of it, for the system and memory that the profile names.

        Raises ProcessError where it cannot read the file.
        """
        self.require()
        launch = self.device.launch
        with tempfile.TemporaryDirectory(prefix="edgeship-vela-") as folder:
            command = [
                *(os.fspath(self.python), "-P", "-m", "ethosu.vela", os.path.abspath(path), "--output-dir", folder),
                *("--accelerator-config", launch["accelerator"], "--config", "Arm/vela.ini"),
                *("--system-config", launch["system"], "--memory-mode", launch["memory"]),
            ]
            plain = {"PYTHONDONTWRITEBYTECODE": "1"}  # what is installed stays what it is
            what = f"compiling for {launch['accelerator']}"
            output = run_command(command, what, env=plain, cwd=Path(folder), after="", network=False)
            summary = next(Path(folder).glob("*_summary_*.csv"), None)
            if summary is None:
                raise ProcessError(f"Vela wrote no summary; it says: {output.strip()[-300:]}")
            with summary.open(encoding="utf-8") as stream:
                row = next(csv.DictReader(stream))
        operators = {place: int(count) for place, count in OPERATORS.findall(output)}
        on_npu, on_cpu = operators.get("NPU", 0), operators.get("CPU", 0)
        return NpuEstimate(
            npu_ops=on_npu,
            cpu_ops=on_cpu,
            npu_op_share=on_npu / max(on_npu + on_cpu, 1),
            **_summary_figures(row),
        )


def _summary_figures(row: dict[str, str]) -> dict[str, Any]:
    """Vela's summary in plain units; the rate of a model of which nothing runs on the NPU is NaN there and None here."""
    keys = ("dram_memory_used", "on_chip_flash_memory_used", "off_chip_flash_memory_used")
    rate = float(row["inferences_per_second"])
    return {
        "cycles": int(float(row["cycles_total"])),
        "sram_bytes": int(float(row["sram_memory_used"]) * KIB),
        "flash_bytes": int(sum(float(row[name]) for name in keys) * KIB),
        "macs": int(float(row["nn_macs"])),
        "inferences_per_second": rate if math.isfinite(rate) else None,
        "clock_hz": float(row["core_clock"]),
    }
