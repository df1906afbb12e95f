"""Which machine took a figure: latency is cached and compared only within one."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path


@cache
def describe_machine() -> dict[str, str | int | None]:
    """CPU model, cores that this process may use, memory in MB (None where only the system's tools tell), system and Python."""
    memory = _read_field("/proc/meminfo", "MemTotal")
    return {
        "cpu": _read_field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_mb": int(memory.split()[0]) // 1024 if memory else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _read_field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
