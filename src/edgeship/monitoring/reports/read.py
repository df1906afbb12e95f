"""Reads reports strictly: of a known schema, without unknown fields, with counts that add up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import lt

import msgspec

from edgeship import typed_json
from edgeship.errors import InputError
from edgeship.monitoring.reports.report import (
    ARTIFACT,
    CODE,
    DIGEST,
    FIRST_SCHEMA,
    MOST_COUNT,
    NAME,
    PSEUDONYM,
    SCHEMA,
    TEXT,
    ClassCounts,
    CompactReport,
    Report,
    expand_report,
)
from edgeship.monitoring.reports.windows import WINDOW, first_day
from edgeship.untrusted import parse_json, printable

MOST_BYTES = 64 << 10
NAMES = {
    WINDOW: "a week of the ISO calendar as 2026-W48",
    DIGEST: "a sha256 in 64 digits",
    PSEUDONYM: "32 hexadecimal digits",
    ARTIFACT: "an artifact's id as tflite/int8",
    CODE: "a word of lower-case letters, digits and '_'",
    NAME: "a name of lower-case letters, digits and '-._'",
    TEXT: "a short text of ASCII",
}
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_decode = msgspec.json.Decoder(Report | CompactReport).decode


def _read_known(content: bytes) -> Report:
    found = _decode(content)
    return expand_report(found) if isinstance(found, CompactReport) else found


# The reader of each schema, which gives the cells themselves. A schema that was ever published stays.
READERS: Mapping[int, Callable[[bytes], Report]] = {FIRST_SCHEMA: _read_known, SCHEMA: _read_known}


def read_report(content: bytes) -> Report:
    """The report in some bytes of JSON.

    Raises InputError, one sentence, for what is larger than 64 kB, no JSON, of another schema or form, or does not add up.
    Whether the bins are those of a profile: `edgeship.monitoring.reports.bins.check_bins`.
    """
    if len(content) > MOST_BYTES:
        raise InputError(f"the report has {len(content):,} bytes, at most {MOST_BYTES:,} are taken")
    try:
        report = READERS[SCHEMA](content)
    except msgspec.ValidationError as error:
        report = _read_other_schema(content, error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"the report is not valid JSON ({printable(error)[:100]})") from error
    first_day(report.window)
    _check_counts(report)
    return report


def _read_other_schema(content: bytes, error: msgspec.ValidationError) -> Report:
    """What another reader makes of it; raises InputError with what is wrong where none reads it."""
    value = parse_json(content, "the report")
    if not isinstance(value, dict):
        raise InputError("the report is no JSON object") from error
    schema = value.get("schema")
    if type(schema) is not int or schema not in READERS:
        known = ", ".join(map(str, READERS))
        raise InputError(
            f"the report has schema {printable(repr(schema))[:20]}, this edgeship reads {known}"
        ) from error
    if schema not in (FIRST_SCHEMA, SCHEMA):
        return READERS[schema](content)
    if match := _UNKNOWN.search(str(error)):
        raise InputError(
            f"the report has a field that schema {schema} does not know, {match['name'][:40]!a}"
        ) from error
    raise InputError(f"the report: {typed_json.describe_error(error, Report, value, NAMES)}") from error


def _check_counts(report: Report) -> None:
    """Raise InputError where a report contradicts itself."""
    n = report.n
    for name, output in report.outputs.items():
        if isinstance(output, ClassCounts):
            sums = _pair_sum(output.joint, "outputs", name), sum(output.margin), sum(output.entropy)
            if sums != (n, n, n):
                part, found = next(
                    item for item in zip(("joint", "margin", "entropy"), sums, strict=True) if item[1] != n
                )
                raise _sum_error(f"outputs.{name}.{part}", found, n)
        else:
            _check_histograms("outputs", name, output.values, n)
    for name, histograms in report.inputs.items():
        _check_histograms("inputs", name, histograms, n)
    timed = _pair_sum(report.latency, "latency")
    if timed > n:
        raise _sum_error("latency", timed, n)
    if report.switches > n:
        raise _sum_error("switches", report.switches, n)
    outcomes = 0
    for name, pairs in report.outcomes.items():
        outcomes += _pair_sum(pairs, "outcomes", name)
    if not (n or report.fallbacks or outcomes or any(report.errors.values())):
        raise InputError("the report is empty: nothing was counted")


def _check_histograms(side: str, name: str, histograms: Sequence[Sequence[int]], n: int) -> None:
    for number, counts in enumerate(histograms):
        if sum(counts) != n:
            raise _sum_error(f"{side}.{name}[{number}]", sum(counts), n)


def _sum_error(where: str, found: int, n: int) -> InputError:
    return InputError(f"the report's counts do not add up: {printable(where)} has {found:,}, and n is {n:,}")


def _pair_sum(pairs: Sequence[int], *where: str) -> int:
    """The sum of the counts in pairs. Raises InputError unless they are whole, ascending, and each with a count."""
    cells, counts = pairs[::2], pairs[1::2]
    total = sum(counts)
    # No number is negative, so that none is above a sum: the largest need only be looked for where the sum is large.
    if (
        len(cells) != len(counts)
        or 0 in counts
        or (total > MOST_COUNT and max(counts) > MOST_COUNT)
        or not all(map(lt, cells, cells[1:]))
    ):
        place = printable(".".join(where))
        raise InputError(f"the report's {place} must be pairs of a cell and its count, in ascending order")
    return total


def to_dense(pairs: Sequence[int], size: int) -> list[int]:
    """Counts by cell, `size` of them, of pairs that were read; raises InputError for a cell beyond."""
    dense = [0] * size
    for cell, count in zip(pairs[::2], pairs[1::2], strict=True):
        if cell >= size:
            raise InputError(f"the report has a count in cell {cell:,}, and there are {size:,}")
        dense[cell] = count
    return dense
