"""The runtimes that can give features here."""

from __future__ import annotations

from importlib import util
from typing import NamedTuple


class Runtime(NamedTuple):
    """A runtime's name, the module to import, and its package on PyPI."""

    name: str
    module: str
    package: str


RUNTIMES = {
    "tflite": (
        Runtime("litert", "ai_edge_litert", "ai-edge-litert"),
        Runtime("tflite", "tflite_runtime", "tflite-runtime"),
    ),
}


def find_runtime(form: str) -> Runtime | None:
    """The first installed runtime for a format; nothing is imported."""
    return next((item for item in RUNTIMES.get(form, ()) if util.find_spec(item.module)), None)


def missing_reason(form: str) -> str:
    """Why a format cannot be run here."""
    if form not in RUNTIMES:
        return f"this client runs {', '.join(RUNTIMES)}, not {form}"
    return f"no runtime is installed: pip install {RUNTIMES[form][0].package}"
