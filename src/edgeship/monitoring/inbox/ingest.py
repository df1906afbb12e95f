"""Brings reports of files into an inbox; once is enough, and a second time changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.arrival import Arrival, KnownBundle, RefusedReport, check_report
from edgeship.monitoring.inbox.files import Found, read_files
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.untrusted import printable

BATCH = 2000  # reports of a transaction


@dataclass(frozen=True)
class Ingested:
    """What came of files: how many reports they held, and what became of them.

    `new`, `duplicates` and `conflicts` (another content under a known key); `late`: of the new ones, after their window was
    closed; `refused`: by reason (invalid, window, unknown, bins), and `examples` of them: file, line, and what is wrong.
    `damaged`: files that could not be read to their end.
    """

    files: int
    reports: int
    new: int
    duplicates: int
    conflicts: int
    late: int
    refused: Mapping[str, int]
    examples: Mapping[str, str]
    damaged: tuple[str, ...] = ()


def ingest_files(inbox: Inbox, files: Sequence[Path], received: int) -> Ingested:
    """Bring the reports of files into an inbox, as if they arrived at `received` (seconds since 1970).

    Raises InputError where the inbox cannot be written; what was written stays.
    """
    known = inbox.read_known()
    results: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    examples: dict[str, str] = {}
    damaged: list[str] = []
    found = _read_on(files, damaged)
    while batch := list(islice(found, BATCH)):
        arrivals, reasons = _check(batch, known, received, examples)
        for item, result in zip(arrivals, inbox.add(arrivals, reasons), strict=True):
            results[result] += 1
            results["late"] += result == "new" and item.late
        refused.update(reasons)
    total = results["new"] + results["duplicate"] + results["conflict"] + refused.total()
    return Ingested(
        len(files), total, results["new"], results["duplicate"], results["conflict"], results["late"],
        dict(sorted(refused.items())), examples, tuple(damaged),
    )  # fmt: skip


def _read_on(files: Sequence[Path], damaged: list[str]) -> Iterator[Found]:
    """Everything that can be read; what is wrong with a file is added to `damaged`."""
    for file in files:
        try:
            yield from read_files([file])
        except InputError as error:
            damaged.append(str(error))


def _check(
    batch: Sequence[Found], known: Mapping[str, KnownBundle], received: int, examples: dict[str, str]
) -> tuple[list[Arrival], Counter[str]]:
    arrivals: list[Arrival] = []
    reasons: Counter[str] = Counter()
    for item in batch:
        try:
            arrivals.append(check_report(item.content, known, received))
        except RefusedReport as error:
            reasons[error.reason] += 1
            examples.setdefault(error.reason, f"{printable(item.file)}:{item.line}: {error}")
    return arrivals, reasons
