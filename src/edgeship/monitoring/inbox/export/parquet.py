"""Reports as Parquet: DuckDB, Spark and pandas read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from edgeship.errors import InputError
from edgeship.monitoring.inbox.export.tables import SCHEMA
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import printable

PART = "reports.parquet"


def write_parquet(tables: Iterable[pa.Table], out: Path) -> int:
    """Write tables of reports to a file, which is there whole or not at all; how many rows they have."""
    return _write(tables, out, SCHEMA)


def write_partitions(read: Callable[[str], Iterable[pa.Table]], windows: Iterable[str], out: Path) -> int:
    """Write the reports of each window to `window=2026-W48/reports.parquet` in a folder, as Hive partitions are named.

    What is there of a window is replaced, each file in one go, and windows that are not named stay. How many rows were written.
    Raises InputError where a file is in the way.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{printable(out)}: is a file; name a folder, or a file that ends with .parquet")
    schema = SCHEMA.remove(SCHEMA.get_field_index("window"))  # the folder's name tells it
    return sum(
        _write((table.drop_columns("window") for table in read(window)), out / f"window={window}" / PART, schema)
        for window in windows
    )


def _write(tables: Iterable[pa.Table], out: Path, schema: pa.Schema) -> int:
    count = 0
    with atomic_file(out) as beside, pa.parquet.ParquetWriter(beside, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            count += table.num_rows
    return count
