"""Tables of samples and of their labels: CSV files, in which `sample` names a sample."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import printable, regular_file

SAMPLE, LABEL, ANNOTATOR, PREDICTED, USER, MARGIN, PICKED = (
    "sample", "label", "annotator", "predicted", "user", "margin", "picked",
)  # fmt: skip
MOST_BYTES = 256 << 20
Row = Mapping[str, str]


@dataclass(frozen=True)
class SampleLabels:
    """The label of each sample as it was written, in the order of the file.

    `unlabelled` rows have none yet; `disputed` samples have several that differ, and none here. `predicted`: what the model
    said, where the table tells.
    """

    labels: Mapping[str, str]
    unlabelled: int
    disputed: tuple[str, ...]
    predicted: Mapping[str, str]


def read_table(path: Path, needed: Sequence[str] = (SAMPLE,)) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Columns and rows of a CSV. Raises InputError, naming the line, for what is none or lacks a needed column."""
    place = printable(path)
    if not path.exists():
        raise InputError(f"{place}: no such file")
    if regular_file(path, links=True).stat().st_size > MOST_BYTES:
        raise InputError(f"{place}: larger than {MOST_BYTES >> 20} MB; take some of its rows")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            fields, rows = tuple(reader.fieldnames or ()), []
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(f"{place}:{reader.line_num}: has another number of columns than the first line")
                rows.append(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{place}: is no CSV in UTF-8 ({printable(error)[:100]})") from error
    if missing := [name for name in needed if name not in fields]:
        raise InputError(
            f"{place}: has no column {missing[0]} (it has: {printable(', '.join(fields))[:200] or 'none'})"
        )
    if len({*fields}) < len(fields):
        raise InputError(f"{place}: has a column twice")
    if not rows:
        raise InputError(f"{place}: has no rows")
    return fields, rows


def write_table(path: Path, fields: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a CSV, whole or not at all; columns that a row lacks are empty."""
    with atomic_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_sample_labels(path: Path) -> SampleLabels:
    """The labels of a CSV with the columns sample and label. Raises InputError where no row has a label."""
    _, rows = read_table(path, (SAMPLE, LABEL))
    found: dict[str, set[str]] = {}
    for row in rows:
        if label := row[LABEL].strip():
            found.setdefault(row[SAMPLE].strip(), set()).add(label)
    if not found:
        raise InputError(f"{printable(path)}: no row has a label yet; `edgeship label` fills them in")
    predicted = {row[SAMPLE].strip(): row[PREDICTED].strip() for row in rows if row.get(PREDICTED, "").strip()}
    return SampleLabels(
        labels={name: next(iter(labels)) for name, labels in found.items() if len(labels) == 1},
        unlabelled=sum(not row[LABEL].strip() for row in rows),
        disputed=tuple(name for name, labels in found.items() if len(labels) > 1),
        predicted=predicted,
    )
