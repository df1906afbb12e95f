"""The checks of whatever lies at a path: a table, a folder of pictures, arrays."""

from __future__ import annotations

from pathlib import Path

from edgeship.data_checks.report import DataReport
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.tables import reading
from edgeship.tables.schema import TableSchema
from edgeship.untrusted import printable


@dataclass(frozen=True)
class CheckedData:
    """What was found; `schema` of a table."""

    report: DataReport
    schema: TableSchema | None = None


def check_path(path: Path, label: str | None, evaluation: Path | None, group: str | None) -> CheckedData:
    """Check the data at a path, and a second split of the same kind.

    Raises InputError for data that cannot be read or learned from, and for options that its kind does not take.
    """
    for place in (path, evaluation):
        if place is not None and not place.exists():
            raise InputError(f"{printable(place)}: no such file or folder")
    if reading.is_table(path):
        from edgeship.data_checks.sources.table import check_table

        return CheckedData(*check_table(path, label, evaluation, group))
    if group:
        raise InputError(f"{printable(path)}: --group names a column of a table, and this is none")
    if path.is_dir() and not any(path.glob("*.npz")):
        if label:
            raise InputError(f"{printable(path)}: its folders are the labels of its pictures; leave --label out")
        from edgeship.data_checks.sources.pictures import check_pictures

        return CheckedData(check_pictures(path, evaluation))
    if path.is_dir() or path.suffix == ".npz":
        from edgeship.data_checks.sources.arrays import check_arrays

        return CheckedData(check_arrays(path, label, evaluation))
    raise InputError(f"{printable(path)}: neither a table nor a folder of pictures nor an .npz; {reading.HINT}")
