"""Reports as a database of DuckDB: the table of reports, and views in which each count is a row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from edgeship.errors import InputError, brief_message
from edgeship.monitoring.inbox.export.tables import SCHEMA
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import printable

# What stands in a report once is in `reports`; these have a row for each count that is not 0.
VIEWS = """
create view predictions as
select "window", install, artifact, profile, runtime, tier, late, output, cell // bins as class, cell % bins as bin, count from (
  select * exclude (joint), unnest(joint[1:-:2]) as cell, unnest(joint[2:-:2]) as count from (
    select * exclude (told), told.name as output, told.joint as joint, confidence_bins[told.name] as bins
    from (select *, unnest(outputs) as told from reports)));

create view latencies as
select "window", install, artifact, profile, runtime, tier, late,
  unnest(latency[1:-:2]) as bin, unnest(latency[2:-:2]) as count from reports;

create view outcomes as
select "window", install, artifact, profile, runtime, tier, late, outcome,
  unnest(pairs[1:-:2]) as class, unnest(pairs[2:-:2]) as count from (
    select *, unnest(map_keys(outcomes)) as outcome, unnest(map_values(outcomes)) as pairs from reports);

create view histograms as
select * from (
  select * exclude (counts), unnest(range(len(counts))) as bin, unnest(counts) as count from (
    select * exclude ("values"), unnest(range(len("values"))) as descriptor, unnest("values") as counts from (
      select "window", install, artifact, profile, runtime, tier, late, told.name as input, told."values" as "values"
      from (select *, unnest(inputs) as told from reports)))) where count > 0
"""


def write_duckdb(tables: Iterable[pa.Table], out: Path) -> int:
    """Write tables of reports to a database, which is there whole or not at all; how many rows they have.

    Raises InputError where DuckDB cannot write it.
    """
    count = 0
    with atomic_file(out) as beside:
        beside.unlink()  # what is empty is no database
        try:
            with duckdb.connect(str(beside)) as database:
                database.from_arrow(SCHEMA.empty_table()).create("reports")
                for table in tables:
                    database.from_arrow(table).insert_into("reports")
                    count += table.num_rows
                database.execute(VIEWS)
        except duckdb.Error as error:
            raise InputError(f"{printable(out)}: cannot be written ({printable(brief_message(error))})") from error
        finally:
            Path(f"{beside}.wal").unlink(missing_ok=True)
    return count
