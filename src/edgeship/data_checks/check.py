"""The checks of whatever lies at a path: a table, a folder of pictures, arrays."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from edgeship.data_checks.report import DataReport
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.tables import reading
from edgeship.tables.database import Database, copy_query
from edgeship.tables.database import check_query as check_text
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


def check_query(
    database: Database, query: str | None, label: str | None, evaluation: Path | None, group: str | None
) -> DataReport:
    """Check the rows of a query, as those of a table; `evaluation` is a file.

    Raises InputError for a query that cannot be run, and for rows that cannot be learned from.
    """
    from edgeship.data_checks.sources.table import check_table

    text = check_text(database, query)
    with tempfile.TemporaryDirectory(prefix="edgeship-query-") as folder:
        path = Path(folder) / "query.parquet"
        copy_query(database, text, path)
        try:
            report, _ = check_table(path, label, evaluation, group)
        except InputError as error:  # people know their database, and not this file
            raise InputError(str(error).replace(printable(path), str(database))) from error
    return replace(report, path=str(database))
