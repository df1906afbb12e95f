"""The SavedModel that the steps of one conversion share, loaded once per process and content."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeship.storage import digest

_LAST: dict[str, Any] = {}


def load(folder: Path) -> Any:
    """The loaded SavedModel. Hold on to it: its functions only refer to their variables."""
    import tensorflow as tf

    key = _content_digest(folder)
    if key not in _LAST:
        _LAST.clear()  # one at a time: models are large
        _LAST[key] = tf.saved_model.load(str(folder))
    return _LAST[key]


@contextlib.contextmanager
def share_with_converter(module: Any, name: str) -> Iterator[None]:
    """While this lasts, the function `name` by which a converter's module loads a SavedModel gives the one that is loaded.

    Loading takes longer than converting. A model with tables is loaded anew: converters change how its tables are filled.
    """
    original = getattr(module, name)

    def load_shared(folder: str, *arguments: Any, **options: Any) -> Any:
        saved_model = load(Path(folder))
        return original(folder, *arguments, **options) if _has_tables(saved_model) else saved_model

    setattr(module, name, load_shared)
    try:
        yield
    finally:
        setattr(module, name, original)


def _has_tables(saved_model: Any) -> bool:
    import tensorflow as tf

    kind = tf.saved_model.experimental.TrackableResource
    return any(isinstance(item, kind) for item in tf.train.TrackableView(saved_model).descendants())


def _content_digest(folder: Path) -> str:
    """What is loaded: not what edgeship writes beside it, and where it lies only where files are read by their path later."""
    files = digest.of_files(folder)
    content = {
        name: value for name, value in files.items() if name == "saved_model.pb" or name.startswith("variables/")
    }
    return digest.of_json([content, str(folder) if any(name.startswith("assets/") for name in files) else None])
