"""`edgeship doctor`: the tools that edgeship can use, whether they are there, and how to get them."""

from __future__ import annotations

import shutil

from edgeship.light_dataclass import dataclass
from edgeship.runtimes import registry
from edgeship.serving.rest.environment import ENVIRONMENT, INSTALL, SERVER, TITLE
from edgeship.storage import cache

EXTRAS = {
    "tensorflow": ("tensorflow", "keras", "tf-keras", "litert-quantizer"),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "tfjs": ("six", "packaging"),
}


@dataclass(frozen=True)
class Tool:
    """One tool: its version where it is present, else what to do."""

    name: str
    purpose: str
    version: str | None
    remedy: str = ""


def diagnose() -> list[Tool]:
    """Every package of the extras, every runtime, and the server."""
    tools = []
    for extra, packages in EXTRAS.items():
        for package in packages:
            version = cache.versions(package)[package]
            present = version != "absent"
            remedy = "" if present else f"pip install 'edgeship[{extra}]'"
            tools.append(Tool(package, f"extra '{extra}'", version if present else None, remedy))
    for runtime in registry.RUNTIMES.values():
        reason = runtime.unavailable_reason()
        found_version: str | None = None if reason else runtime.version()
        remedy = f"{reason}; {runtime.install}" if reason else ""
        tools.append(Tool(runtime.name, f"runtime for {', '.join(runtime.formats)}", found_version, remedy))
    missing = ENVIRONMENT.unavailable_reason()
    server_version, remedy = (None, f"{missing}; {INSTALL}") if missing else (ENVIRONMENT.version(), "")
    tools.append(Tool(SERVER, TITLE, server_version, remedy))
    tools.append(Tool("cache", f"results, in {cache.root()}", f"{_free_gigabytes(cache.root()):.0f} GB free"))
    return tools


def _free_gigabytes(path: object) -> float:
    from pathlib import Path

    folder = Path(str(path))
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9
