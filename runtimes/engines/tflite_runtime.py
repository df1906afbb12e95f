"""tflite-runtime, LiteRT's frozen predecessor: the same interpreter under another name, in an environment of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.runtimes.engines import litert
from edgeship.runtimes.runtime import Launch, Runtime, python_launch

if TYPE_CHECKING:
    from edgeship.runtimes.worker.interface import Backend


def open_backend() -> Backend:
    """Import it."""
    return litert.TFLiteBackend("tflite_runtime", "tflite-runtime")


def _find_version() -> str | None:
    from edgeship.runtimes import tflite_runtime

    return tflite_runtime.version()


def _find_launch() -> Launch:
    from edgeship.runtimes import tflite_runtime

    return python_launch("tflite-runtime", os.fspath(tflite_runtime.python()))


def _find_reason() -> str | None:
    from edgeship.runtimes import tflite_runtime

    return tflite_runtime.unavailable_reason()


def _prepare_environment() -> Path:
    from edgeship.runtimes import tflite_runtime

    return tflite_runtime.install()


RUNTIMES = (
    Runtime(
        "tflite-runtime",
        ("tflite",),
        "tflite-runtime 2.14, frozen in 2023",
        "install it with: edgeship runtimes install tflite-runtime",
        _find_version,
        _find_launch,
        _find_reason,
        _prepare_environment,
        distribution="tflite-runtime",
    ),
)
