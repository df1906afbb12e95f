"""A person's data: looked at before anything is learned from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.files import optional_path, write_result
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

if TYPE_CHECKING:
    from edgeship.data_checks.report import DataReport

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class DataCheck:
    """What was found, the page that shows it, and the `data.toml` that was written; None where one was there, or is needless."""

    report: DataReport
    page: Path
    schema_file: Path | None = None


def check_data(
    path: AnyPath,
    *,
    label: str | None = None,
    evaluation: AnyPath | None = None,
    group: str | None = None,
    query: str | None = None,
    out: AnyPath | None = None,
) -> DataCheck:
    """Look at a table (CSV, Parquet), a folder of pictures (a folder for each class), an `.npz`, or rows of a database.

    `label`: the column that is learned; `evaluation`: a second split, which must not share samples or values of the column
    `group` with the first; `query`: what is read of the database `sqlite:///FILE` or `postgresql://...`. Writes `index.html`
    into the folder `out` (default: the data's name with `-check`), and beside a
    table its `data.toml` unless there is one. Raises InputError for data that cannot be read or learned from, and for a
    place that cannot be written.
    """
    from edgeship.data_checks.check import check_path, check_query
    from edgeship.data_checks.page import render_page
    from edgeship.tables.database import find_database
    from edgeship.tables.schema_file import FILE, render_schema_file

    if database := find_database(os.fspath(path)):
        report = check_query(database, query, label, optional_path(evaluation), group)
        folder = Path(f"{database.file.stem or 'query'}-check") if out is None else Path(out)
        write_result(folder / "index.html", render_page(report))
        return DataCheck(report, folder / "index.html")
    source = Path(path)
    if query is not None:
        raise InputError(f"{printable(source)}: --query is for databases, sqlite:///FILE or postgresql://...")
    checked = check_path(source, label, optional_path(evaluation), group)
    folder = Path(f"{source.absolute().name.partition('.')[0]}-check") if out is None else Path(out)
    write_result(folder / "index.html", render_page(checked.report))
    if checked.schema is None:
        return DataCheck(checked.report, folder / "index.html")
    beside = source.parent / FILE
    if beside.exists():
        return DataCheck(checked.report, folder / "index.html")
    place = beside if os.access(source.parent, os.W_OK) else folder / FILE
    write_result(place, render_schema_file(source.name, checked.schema))
    return DataCheck(checked.report, folder / "index.html", place)
