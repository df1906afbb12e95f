"""Which reader takes a source: a table, a query, pictures or recordings with a class each, windows of a long table, arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.tables import reading
from edgeship.tables.database import Database, check_query, copy_query, find_database
from edgeship.tables.inference import read_schema
from edgeship.train import idx
from edgeship.train.own_data.samples import OwnData
from edgeship.train.own_data.sources import arrays, named_files, pictures, recordings, table, windows
from edgeship.train.own_data.sources.named_files import NamedFiles
from edgeship.untrusted import printable

HINT = (
    "--data takes a table (.csv, .parquet), a query on sqlite:///FILE or postgresql://..., a folder with one folder of pictures "
    "or of .wav files a class, a table of their names and labels, a folder with four idx files, or an .npz"
)
KINDS = {"pictures": pictures.SUFFIXES, "recordings": recordings.SUFFIXES}
READERS: dict[str, Callable[[NamedFiles, Path], OwnData]] = {
    "pictures": pictures.read_pictures,
    "recordings": recordings.read_recordings,
}


@dataclass(frozen=True)
class Source:
    """What is asked for: a `path`, the column that is the `label`, columns to split by, and the length of `window`s, in rows.

    Of a database its address is `database`, with the `query` whose rows are the table; `path` is then the database's name.
    """

    path: Path
    label: str | None = None
    group: str | None = None
    time: str | None = None
    window: int | None = None
    database: str | None = None
    query: str | None = None


def check_source(source: Source) -> None:
    """Raise InputError for what no reader takes; nothing is read for it."""
    path = source.path
    where = printable(path)
    if source.database is not None and (database := find_database(source.database)):
        check_query(database, source.query)
        if source.label is None:
            raise InputError(f"{database}: which column is to be predicted? Name it with --label")
        return
    if source.query is not None:
        raise InputError(f"{where}: --query is for databases, sqlite:///FILE or postgresql://...")
    if not path.exists():
        raise InputError(f"{where}: no such file or folder; {HINT}")
    is_table = path.is_file() and reading.is_table(path)
    if not is_table:
        if path.is_file() and path.suffix != ".npz":
            raise InputError(f"{where}: nothing that can be learned from; {HINT}")
        for option in ("label", "group", "time", "window"):
            if getattr(source, option) is not None:
                raise InputError(f"{where}: --{option} names a column or the rows of a table, which this is not")
    elif source.label is None:
        raise InputError(f"{where}: which column is to be predicted? Name it with --label")


def read_source(source: Source, work: Path) -> OwnData:
    """Read the samples; large ones go to files in the folder `work`. Raises InputError for what cannot be learned from."""
    check_source(source)
    if source.database is not None and (database := find_database(source.database)):
        return _read_query(source, database, work)
    if source.path.is_dir():
        return _read_folder(source.path, work)
    if source.path.suffix == ".npz":
        return arrays.read_npz(source.path)
    return _read_table(source, work)


def _read_folder(path: Path, work: Path) -> OwnData:
    if idx.find_set(path):
        return pictures.read_idx(path)
    kind = named_files.find_suffix(path, KINDS)
    if kind is None:
        raise InputError(f"{printable(path)}: no folder in it holds pictures or .wav files; {HINT}")
    return READERS[kind](named_files.list_class_folders(path, KINDS[kind]), work)


def _read_table(source: Source, work: Path) -> OwnData:
    """The rows of a table, windows of them, or the files that it names."""
    path, label, schema = source.path, str(source.label), read_schema(source.path)
    if source.window is not None:
        return windows.read_windows(path, schema, label, source.window, group=source.group, time=source.time)
    for kind, suffixes in KINDS.items():
        if column := named_files.find_name_column(path, schema, suffixes, source.label):
            if source.time is not None:
                raise InputError(f"{printable(path)}: --time goes with rows and windows, not with {kind}")
            return READERS[kind](named_files.list_table(path, schema, column, label, source.group), work)
    return table.read_table(path, schema, label, group=source.group, time=source.time)


def _read_query(source: Source, database: Database, work: Path) -> OwnData:
    """The rows of a query as those of a table."""
    path = work / "query.parquet"
    copy_query(database, str(source.query), path)
    try:
        data = _read_table(replace(source, path=path), work)
    except InputError as error:  # people know their database, and not this file
        raise InputError(str(error).replace(printable(path), str(database))) from error
    finally:
        path.unlink()
    return replace(data, name=str(database), notes=(*data.notes, f"the rows of: {' '.join(str(source.query).split())}"))
