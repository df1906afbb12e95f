"""The files of a registry's bundles, each stored once by the sha256 of its content."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgeship.errors import InputError
from edgeship.storage import digest
from edgeship.untrusted import printable

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "sha256"
DRAFT = ".draft-"
CHANGED = "was changed or is damaged: its content is not what was stored"


class Files(Protocol):
    """Where files are kept by the digest of their content (64 hexadecimal digits)."""

    def store(self, path: Path, name: str) -> None:
        """Keep a file whose digest is `name`, once. Raises InputError where it has another."""

    def find(self, name: str) -> Path:
        """The file of that digest. Raises InputError where there is none, or it has another content."""


class FolderFiles:
    """Beside a SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def store(self, path: Path, name: str) -> None:
        """See `Files`. A file is there whole or not at all, also after a power cut."""
        target = self._place(name)
        if target.is_file() and digest.of_path(target) == name:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=DRAFT, dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream, path.open("rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
                stream.flush()
                os.fsync(stream.fileno())
            if digest.of_path(Path(draft)) != name:
                raise digest.changed_error(path)
            os.replace(draft, target)
        finally:
            Path(draft).unlink(missing_ok=True)

    def find(self, name: str) -> Path:
        """See `Files`."""
        place = self._place(name)
        return _check(place, name)

    def remove_drafts(self) -> None:
        """Drop what a process that was killed left; while nobody else writes."""
        for draft in self.folder.glob(f"*/{DRAFT}*"):
            draft.unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        return self.folder / name[:2] / name


class ServerFiles:
    """Among the artifacts of one run of an MLflow server."""

    def __init__(self, client: MlflowClient, run: str, scratch: Path) -> None:
        self.client, self.run, self.scratch = client, run, scratch
        self.names: set[str] | None = None

    def store(self, path: Path, name: str) -> None:
        """See `Files`."""
        if self.names is None:
            listed = self.client.list_artifacts(self.run, FOLDER)
            self.names = {str(item.path).rpartition("/")[2] for item in listed}
        if name in self.names:
            return
        copy = self.scratch / name
        shutil.copyfile(path, copy)
        if digest.of_path(copy) != name:
            raise digest.changed_error(path)
        self.client.log_artifact(self.run, str(copy), FOLDER)
        copy.unlink()
        self.names.add(name)

    def find(self, name: str) -> Path:
        """See `Files`."""
        place = self.scratch / FOLDER / name
        if not place.exists():
            place = Path(self.client.download_artifacts(self.run, f"{FOLDER}/{name}", str(self.scratch)))
        return _check(place, name)


def _check(place: Path, name: str) -> Path:
    if not place.is_file():
        raise InputError(f"{printable(place)}: is missing, with what was stored there; add the bundle again")
    if digest.of_path(place) != name:
        raise InputError(f"{printable(place)}: {CHANGED}; add the bundle again")
    return place
