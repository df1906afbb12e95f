"""Which reader takes a source: a table, a folder of pictures or of recordings, windows of a long table, or an `.npz`."""

from __future__ import annotations

from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.tables import reading
from edgeship.train.own_data import table
from edgeship.train.own_data.samples import OwnData
from edgeship.untrusted import printable

HINT = "--data takes a table (.csv, .parquet)"


@dataclass(frozen=True)
class Source:
    """What is asked for: a `path`, the column that is the `label`, and columns to split by."""

    path: Path
    label: str | None = None
    group: str | None = None
    time: str | None = None


def check_source(source: Source) -> None:
    """Raise InputError for what no reader takes; nothing is read for it."""
    path = source.path
    if not path.exists():
        raise InputError(f"{printable(path)}: no such file or folder; {HINT}")
    if not reading.is_table(path):
        raise InputError(f"{printable(path)}: nothing that can be learned from; {HINT}")
    if source.label is None:
        raise InputError(f"{printable(path)}: which column is to be predicted? Name it with --label")


def read_source(source: Source, work: Path) -> OwnData:
    """Read the samples; large ones go to files in the folder `work`. Raises InputError for what cannot be learned from."""
    check_source(source)
    return table.read_table(source.path, str(source.label), group=source.group, time=source.time)
