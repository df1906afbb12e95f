"""Files that are read and written for a caller: models and arrays that exist in memory only, and results."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from edgeship.errors import InputError


class KerasModel(Protocol):
    """A model in memory: what can save itself as `.keras`."""

    def save(self, filepath: Any) -> Any:
        """Write the model to a file."""


Model = str | os.PathLike[str] | KerasModel
# A path, `package.module:attribute`, or arrays: each model input's under its name (a single one's under `x`), labels in `y`.
Data = str | os.PathLike[str] | Mapping[str, Any]


class MemoryFiles(contextlib.ExitStack):
    """Paths of models and data; those that exist in memory only are written to files that last as long as the context."""

    def model_path(self, model: Model) -> Path:
        """Where the model lies."""
        if isinstance(model, (str, os.PathLike)):
            return Path(model)
        path = self.new_folder() / "model.keras"
        model.save(str(path))
        return path

    def data_source(self, data: Data | None, name: str) -> str | None:
        """What names the data, as `edgeship.data` takes it; None where there is none."""
        if data is None or isinstance(data, str):
            return data
        if isinstance(data, os.PathLike):
            return os.fspath(data)
        import numpy as np

        from edgeship.data import save

        path = self.new_folder() / f"{name}.npz"
        save(path, {key: np.ascontiguousarray(array) for key, array in data.items()})
        return str(path)

    def new_folder(self) -> Path:
        """A new empty folder."""
        return Path(self.enter_context(tempfile.TemporaryDirectory(prefix="edgeship-memory-")))


def list_names(names: Sequence[str], parameter: str) -> tuple[str, ...]:
    """The names. Raises InputError for a single text: it is a sequence, too, of its letters."""
    if isinstance(names, str):
        raise InputError(f"{parameter} = {names!r} must be a list, as [{names!r}]")
    return tuple(names)


def optional_path(path: str | os.PathLike[str] | None) -> Path | None:
    """The path, where there is one."""
    return None if path is None else Path(path)


def check_outside_of_bundles(path: Path) -> None:
    """Raises InputError for a file in a bundle: its manifest holds the digest of every file, so it would not open again."""
    from edgeship.bundle.bundle import check_outside

    check_outside(path)


def write_result(path: Path, text: str) -> None:
    """Write a result's file, whole or not at all, in a folder that is made if need be.

    Raises InputError where it cannot be written, or lies in a bundle.
    """
    from edgeship.errors import InputError
    from edgeship.storage import atomic

    check_outside_of_bundles(path)
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to move into its place
            path.write_text(text, encoding="utf-8")
            return
        with atomic.atomic_file(path) as draft:
            draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
