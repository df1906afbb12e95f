"""A report: what one installation counted of one artifact in a part of one calendar week.

Whole numbers only, nothing of any single input. These types are the published schema (docs/monitoring/report.schema.json).
A field is never renamed and never gets another meaning; a schema that was published keeps its reader
(`edgeship.monitoring.reports.read`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgeship.monitoring.reports.windows import WINDOW

SCHEMA, FIRST_SCHEMA = 2, 1
MOST_COUNT = 100_000_000  # inferences in a report: a camera's in a week are 20 million
MOST_TENSORS, MOST_HISTOGRAMS, MOST_BINS, MOST_PAIRS = 16, 24, 64, 4000
MOST_NAMES, MOST_ARMS = 16, 4
DIGEST, PSEUDONYM = r"^[0-9a-f]{64}$", r"^[0-9a-f]{32}$"
ARTIFACT = r"^[a-z0-9]{1,32}/[A-Za-z0-9_.-]{1,100}$"
CODE, NAME, TEXT = r"^[a-z][a-z0-9_]{0,31}$", r"^[a-z0-9][a-z0-9._-]{0,63}$", r"^[ -~]{1,64}$"

Count = Annotated[int, Meta(ge=0, le=MOST_COUNT)]
Digest = Annotated[str, Meta(pattern=DIGEST)]
Bins = Annotated[tuple[Count, ...], Meta(max_length=MOST_BINS)]
Pairs = Annotated[
    tuple[Annotated[int, Meta(ge=0, le=2**31 - 1)], ...],
    Meta(
        max_length=2 * MOST_PAIRS,
        description="cell, count, cell, count: only cells with a count, in ascending order; in schema 2 each cell but the "
        "first is the difference to the one before",
    ),
]
Name = Annotated[str, Meta(pattern=NAME)]
Code = Annotated[str, Meta(pattern=CODE)]
TensorName = Annotated[str, Meta(min_length=1, max_length=200)]
Tier = Literal["low", "mid", "high", "unknown"]


class ClassCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="classes"):
    """Of an output that is scores of classes; the edges of all bins are the profile's.

    `joint`: pairs of cell = predicted class x (number of bins of confidence) + bin of confidence, and its count. `margin`: by the
    difference of the two highest probabilities. `entropy`: by the entropy of the probabilities, of its largest possible value.
    """

    joint: Pairs
    margin: Bins
    entropy: Bins


class ValueCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="values"):
    """Of an output that is numbers: a histogram for each of the profile's descriptors, whose last bin is of NaN."""

    values: Annotated[tuple[Bins, ...], Meta(max_length=MOST_HISTOGRAMS)]


class Report(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="schema", tag=FIRST_SCHEMA, kw_only=True
):
    """What one installation counted of one artifact in a part of a window.

    A report holds what was counted since the one before it (by `sequence`, which never starts anew on a device): those of a
    window are added. `install` is a pseudonym that changes every month. `bundle` is the sha256 of the bundle's
    manifest.json, where the client knows it, `artifact` the id of the artifact and `content` its digest, `profile` the sha256 of
    profile.json, which says of which bundle they are. `arms`: by experiment the
    arm that the installation was assigned to. `n` inferences were counted; `latency` is of those that were timed, in pairs of a
    bin and its count. `switches`: how often the class was another than the one before. `errors`: inferences without a result,
    by code. `fallbacks`: answers that something else gave in the model's place. `outcomes`: by event, pairs of the class that
    had been predicted and a count; they may be about inferences of an earlier window. Switches and outcomes are of the first
    output that has classes; where none has, outcomes are of class 0.
    """

    window: Annotated[str, Meta(pattern=WINDOW)]
    sequence: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    install: Annotated[str, Meta(pattern=PSEUDONYM)]
    bundle: Digest | None
    artifact: Annotated[str, Meta(pattern=ARTIFACT)]
    content: Digest
    profile: Digest
    arms: Annotated[Mapping[Name, Name], Meta(max_length=MOST_ARMS)]
    runtime: Annotated[str, Meta(pattern=TEXT)]
    tier: Tier
    n: Count
    outputs: Annotated[Mapping[TensorName, ClassCounts | ValueCounts], Meta(max_length=MOST_TENSORS)]
    inputs: Annotated[
        Mapping[TensorName, Annotated[tuple[Bins, ...], Meta(max_length=MOST_HISTOGRAMS)]],
        Meta(max_length=MOST_TENSORS),
    ]
    latency: Pairs
    switches: Count
    errors: Annotated[Mapping[Code, Count], Meta(max_length=MOST_NAMES)]
    fallbacks: Count
    outcomes: Annotated[Mapping[Code, Pairs], Meta(max_length=MOST_NAMES)]

    @property
    def key(self) -> str:
        """What a second copy of this report is known by: the same key with other content is a conflict."""
        return f"{self.install}.{self.window}.{self.content[:16]}.{self.sequence}"


class CompactReport(Report, frozen=True, forbid_unknown_fields=True, tag_field="schema", tag=SCHEMA, kw_only=True):
    """A report of schema 2: as of schema 1, but that pairs have the difference to the cell before in place of each but the first.

    Of 1,000 classes it takes four fifths of the bytes, packed. `expand_report` gives the same report with the cells themselves.
    """


def expand_report(report: CompactReport) -> Report:
    """The report with the cells themselves in its pairs."""
    fields = msgspec.structs.asdict(report)
    outputs = {
        name: msgspec.structs.replace(output, joint=_add_up(output.joint))
        if isinstance(output, ClassCounts)
        else output
        for name, output in report.outputs.items()
    }
    outcomes = {event: _add_up(pairs) for event, pairs in report.outcomes.items()}
    return Report(**{**fields, "outputs": outputs, "latency": _add_up(report.latency), "outcomes": outcomes})


def _add_up(pairs: Sequence[int]) -> tuple[int, ...]:
    """Cells of differences; a list that does not end in a count keeps its length, and is refused for it."""
    found = list(pairs)
    found[::2] = accumulate(found[::2])
    return tuple(found)


def encode_report(report: Report) -> bytes:
    """The report as JSON of its own schema: 1, where its cells are the cells themselves."""
    return msgspec.json.encode(report)


def report_schema() -> dict[str, Any]:
    """The JSON schema of a report, published as docs/monitoring/report.schema.json."""
    described = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report of a client of an edgeship bundle",
        **msgspec.json.schema(Report | CompactReport),
    }
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described))
    return content
