"""The way to MLflow: its client, opened without what it does unasked, and its errors in our words.

Nothing here is imported before a command of the registry needs it: MLflow takes seconds to import.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from edgeship.errors import CANNOT_WRITE, EdgeshipError, InputError, MissingDependencyError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
SERVERS = ("http://", "https://")
DEFAULT = f"{SQLITE}registry.db"
MAGIC = b"SQLite format 3\0"
HINT = "--store takes sqlite:///FILE or the address of an MLflow server (https://...)"
# Unless it is told not to, MLflow reports its use to its makers, prints to standard output, where our JSON goes, and asks a
# server seven times, which takes minutes.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
THEIRS = ("mlflow", "sqlalchemy", "alembic", "sqlite3", "requests", "urllib3", "google")
NEWER = "was written by another version of MLflow: `mlflow db upgrade URI` brings an older one up to date"


@dataclass(frozen=True)
class Place:
    """Where a registry is: the address as MLflow takes it, and the file where it is one."""

    uri: str
    file: Path | None

    @classmethod
    def parse(cls, store: str) -> Place:
        """The place that `--store` names. Raises InputError for an address of another kind."""
        if store.startswith(SERVERS):
            return cls(store, None)
        name = store.removeprefix(SQLITE)
        if name == store or not name or "?" in name or printable(name) != name:
            raise InputError(f"{printable(store)}: no registry can be there; {HINT}")
        file = Path(name).absolute()
        return cls(f"{SQLITE}{file.as_posix()}", file)

    def __str__(self) -> str:
        """What messages and pages call it: without a password."""
        return printable(self.file or _hide_password(self.uri))


def open_client(place: Place, *, create: bool) -> MlflowClient:
    """The client of the registry there; with `create` a new SQLite file is made where there is none.

    Raises InputError where none is there, or it cannot be read, and MissingDependencyError.
    """
    client_class = _import_client()
    if place.file is not None:
        if not place.file.exists():
            if not create:
                how = "`edgeship registry add BUNDLE --name NAME` begins one"
                raise InputError(f"{place}: no registry is there; {how}, --store names another")
            with lock(place):
                _create_database(place.file, client_class)
        check_database(place, place.file)
    with in_our_words(place):
        client = client_class(place.uri, place.uri)
        client.search_registered_models(max_results=1)  # it connects no earlier
        return client


def lock(place: Place) -> filelock.BaseFileLock | contextlib.AbstractContextManager[None]:
    """Held while a SQLite registry is written to; a server has to keep its own order."""
    if place.file is None:
        return contextlib.nullcontext()
    beside = Path(f"{place.file}.lock")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.touch()  # where it cannot be, a FileLock may wait for ever
    except OSError as error:
        raise InputError(f"{place}: cannot be written ({error.strerror}); --store names another place") from error
    return filelock.FileLock(beside)


@contextlib.contextmanager
def in_our_words(place: Place) -> Iterator[None]:
    """Turns what MLflow and what is below it raise into an InputError of one sentence that names the place."""
    try:
        yield
    except EdgeshipError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
            where = printable(error.filename or place)  # it may be what is written from the registry
            raise InputError(f"{where}: {error.strerror}; nothing was changed") from error
        if type(error).__module__.partition(".")[0] not in THEIRS:
            raise
        raise InputError(_describe(place, error)) from error


def _hide_password(text: str) -> str:
    return re.sub(r"(https?://)[^/\s]*@", r"\1...@", text)


def _describe(place: Place, error: Exception) -> str:
    text = brief_message(_hide_password(str(error)).partition("[SQL")[0], 240)
    if "out-of-date database schema" in text:
        return f"{place}: {NEWER}"
    if "database or disk is full" in text or "disk I/O" in text:
        return f"{place}: the disk is full; nothing was changed"
    if place.file is None and ("Max retries" in text or "request" in text.lower()):
        return f"{place}: no MLflow server answers there ({printable(text)})"
    return f"{place}: {printable(text)}"


def _import_client() -> type[MlflowClient]:
    os.environ.update(ENVIRONMENT)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        import alembic  # noqa: F401  # MLflow names none of the two among what it needs, and fails late without
        import sqlalchemy  # noqa: F401
        from mlflow import MlflowClient
    except ImportError as error:
        raise MissingDependencyError(
            f"the registry needs MLflow ({error}): pip install 'edgeship[registry]'"
        ) from error
    import logging

    logging.getLogger("alembic").setLevel(logging.ERROR)
    return MlflowClient


def _create_database(file: Path, client_class: type[MlflowClient]) -> None:
    """A new database is made beside its place: one that is half made, or made by two at once, cannot be mended."""
    if file.exists():  # another process was first
        return
    with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as folder:
        draft = Place(f"{SQLITE}{(Path(folder) / file.name).as_posix()}", file)
        with in_our_words(draft):
            client_class(draft.uri, draft.uri).search_registered_models(max_results=1)
        (Path(folder) / file.name).rename(file)


def check_database(place: Place, file: Path) -> None:
    """Raise InputError for a file that is no registry: MLflow would put its tables into anything."""
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(MAGIC))
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror})") from error
    if magic != MAGIC:
        raise InputError(f"{place}: is no registry, which is a SQLite file; {HINT}")
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.Error as error:
        raise InputError(f"{place}: cannot be read, is the file damaged? ({printable(error)})") from error
    if not {"registered_models", "model_versions", "alembic_version"} <= tables:
        raise InputError(f"{place}: is a SQLite file of something else; {HINT}")
