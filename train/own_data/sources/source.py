"""Which reader takes a source: a table, pictures or recordings with a class each, windows of a long table, or an `.npz`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.tables import reading
from edgeship.tables.inference import read_schema
from edgeship.train.own_data.samples import OwnData
from edgeship.train.own_data.sources import arrays, named_files, pictures, recordings, table, windows
from edgeship.train.own_data.sources.named_files import NamedFiles
from edgeship.untrusted import printable

HINT = (
    "--data takes a table (.csv, .parquet), a folder with one folder of pictures or of .wav files a class, a table of "
    "their names and labels, or an .npz"
)
KINDS = {"pictures": pictures.SUFFIXES, "recordings": recordings.SUFFIXES}
READERS: dict[str, Callable[[NamedFiles, Path], OwnData]] = {
    "pictures": pictures.read_pictures,
    "recordings": recordings.read_recordings,
}


@dataclass(frozen=True)
class Source:
    """What is asked for: a `path`, the column that is the `label`, columns to split by, and the length of `window`s, in rows."""

    path: Path
    label: str | None = None
    group: str | None = None
    time: str | None = None
    window: int | None = None


def check_source(source: Source) -> None:
    """Raise InputError for what no reader takes; nothing is read for it."""
    path = source.path
    where = printable(path)
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
    path, label = source.path, str(source.label)
    if path.is_dir():
        kind = named_files.find_suffix(path, KINDS)
        if kind is None:
            raise InputError(f"{printable(path)}: no folder in it holds pictures or .wav files; {HINT}")
        return READERS[kind](named_files.list_class_folders(path, KINDS[kind]), work)
    if path.suffix == ".npz":
        return arrays.read_npz(path)
    schema = read_schema(path)
    if source.window is not None:
        return windows.read_windows(path, schema, label, source.window, group=source.group, time=source.time)
    for kind, suffixes in KINDS.items():
        if column := named_files.find_name_column(path, schema, suffixes, source.label):
            if source.time is not None:
                raise InputError(f"{printable(path)}: --time goes with rows and windows, not with {kind}")
            return READERS[kind](named_files.list_table(path, schema, column, label, source.group), work)
    return table.read_table(path, schema, label, group=source.group, time=source.time)
