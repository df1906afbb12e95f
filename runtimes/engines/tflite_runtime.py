"""tflite-runtime, LiteRT's frozen predecessor: the same interpreter under another name. It needs numpy 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeship.runtimes.engines import litert
from edgeship.runtimes.runtime import own_runtime

if TYPE_CHECKING:
    from edgeship.runtimes.worker.interface import Backend


def open_backend() -> Backend:
    """Import it."""
    return litert.TFLiteBackend("tflite_runtime", "tflite-runtime")


RUNTIMES = (
    own_runtime(
        "tflite-runtime",
        "tflite",
        "tflite-runtime 2.14, frozen in 2023",
        python311="tflite-runtime 2.14 has no wheels for Python after 3.11",
        distribution="tflite-runtime",
    ),
)
