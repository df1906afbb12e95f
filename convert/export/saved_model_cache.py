"""The SavedModel that the steps of one conversion share, loaded once per process and content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeship.storage import digest

_LAST: dict[str, Any] = {}


def load(folder: Path) -> Any:
    """The loaded SavedModel. Hold on to it: its functions only refer to their variables."""
    import tensorflow as tf

    key = digest.of_path(folder)
    if key not in _LAST:
        _LAST.clear()  # one at a time: models are large
        _LAST[key] = tf.saved_model.load(str(folder))
    return _LAST[key]
