"""The runtimes that this Python has for a format, their releases, and what a device knows of itself."""

from __future__ import annotations

import os
import platform
import sys
from importlib import util
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edgeship.client.rules import Device


class Runtime(NamedTuple):
    """A runtime's name as `minimum_runtime` has it, the module to import, and the distribution whose release counts."""

    name: str
    module: str
    distribution: str


RUNTIMES = {
    "tflite": (
        Runtime("litert", "ai_edge_litert", "ai-edge-litert"),
        Runtime("tflite", "tflite_runtime", "tflite-runtime"),
    ),
    "onnx": (Runtime("onnxruntime", "onnxruntime", "onnxruntime"),),
}


def find_runtime(form: str) -> Runtime | None:
    """The first installed runtime for a format; nothing is imported."""
    return next((item for item in RUNTIMES.get(form, ()) if util.find_spec(item.module)), None)


def missing_reason(form: str) -> str:
    """Why a format cannot be run here, and what to install."""
    if form not in RUNTIMES:
        return f"this client runs {', '.join(RUNTIMES)}, not {form}"
    return f"no runtime for {form} is installed: pip install {RUNTIMES[form][0].distribution}"


def describe_device(identity: str, form: str) -> Device:
    """What this device is, with the runtime that it has for the format."""
    # The process of a self-test imports this module, and needs no rules.
    from edgeship.client.rules import Device

    runtime = find_runtime(form)
    releases = {runtime.name: _release(runtime.distribution)} if runtime else {}
    return Device(identity, releases, f"{sys.platform}-{platform.machine().lower()}", _memory_mb())


def _release(distribution: str) -> str:
    from importlib import metadata  # with it comes the whole of email

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "0"


def _memory_mb() -> int | None:
    """The device's memory; None where the system cannot be asked."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    except (AttributeError, ValueError, OSError):
        return None
