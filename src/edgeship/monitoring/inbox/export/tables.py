"""Reports as a table, a row each: what Parquet and DuckDB hold. Bins are those of the profile that a row names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa

from edgeship.monitoring.inbox.arrival import KnownBundle
from edgeship.monitoring.inbox.inbox import StoredReport
from edgeship.monitoring.reports.report import ClassCounts, Report

ROWS = 20_000  # of a row group
_COUNTS = pa.list_(pa.int64())
_OUTPUT = pa.struct(
    [
        ("name", pa.string()),
        ("joint", _COUNTS),
        ("margin", _COUNTS),
        ("entropy", _COUNTS),
        ("values", pa.list_(_COUNTS)),
    ]
)
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("window", "install", "bundle", "artifact", "content", "profile")),
        ("sequence", pa.int64()),
        ("received", pa.timestamp("s", "UTC")),
        ("late", pa.bool_()),
        ("arms", pa.map_(pa.string(), pa.string())),
        ("runtime", pa.string()),
        ("tier", pa.string()),
        ("n", pa.int64()),
        ("outputs", pa.list_(_OUTPUT)),
        ("inputs", pa.list_(pa.struct([("name", pa.string()), ("values", pa.list_(_COUNTS))]))),
        ("latency", _COUNTS),
        ("switches", pa.int64()),
        ("errors", pa.map_(pa.string(), pa.int64())),
        ("fallbacks", pa.int64()),
        ("outcomes", pa.map_(pa.string(), _COUNTS)),
        ("confidence_bins", pa.map_(pa.string(), pa.int64())),
    ]
)
PLAIN = ("window", "install", "bundle", "artifact", "content", "profile", "sequence", "runtime", "tier", "n", "latency")


def read_tables(reports: Iterable[StoredReport], known: Mapping[str, KnownBundle]) -> Iterator[pa.Table]:
    """Reports as tables of at most 20,000 rows. Latency, joint and outcomes are pairs of a cell and its count.

    `confidence_bins`: by output of the profile, how many bins of confidence there are: a cell of its joint table is
    class x (their number) + bin.
    """
    bins = {
        digest: [(item.name, len(item.confidence) + 1) for item in bundle.profile.outputs if item.classes]
        for digest, bundle in known.items()
    }
    rows = (_to_row(item) | {"confidence_bins": bins[item.report.profile]} for item in reports)
    while group := list(islice(rows, ROWS)):
        yield pa.Table.from_pylist(group, SCHEMA)


def _to_row(item: StoredReport) -> dict[str, Any]:
    report = item.report
    return {
        **{name: getattr(report, name) for name in PLAIN},
        "received": item.received,
        "late": item.late,
        "switches": report.switches,
        "fallbacks": report.fallbacks,
        "outputs": list(_outputs(report)),
        "inputs": [{"name": name, "values": values} for name, values in report.inputs.items()],
        **{name: _to_map(getattr(report, name)) for name in ("arms", "errors", "outcomes")},
    }


def _outputs(report: Report) -> Iterator[dict[str, Any]]:
    for name, output in report.outputs.items():
        if isinstance(output, ClassCounts):
            yield {"name": name, "joint": output.joint, "margin": output.margin, "entropy": output.entropy}
        else:
            yield {"name": name, "values": output.values}


def _to_map(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(value.items())
