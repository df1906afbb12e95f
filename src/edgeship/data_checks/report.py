"""What the checks found, as values: the page, the JSON and the command line show the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from edgeship.data_checks.methods.leakage import ColumnScore
from edgeship.data_checks.methods.shift import ColumnShift
from edgeship.light_dataclass import dataclass

Severity = Literal["spoils", "notice"]


@dataclass(frozen=True)
class Finding:
    """Something found by a check: it `spoils` a result, or is a notice. `columns` it is about, `examples` of samples."""

    check: str
    severity: Severity
    text: str
    columns: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnReport:
    """A column: what was found in one line; counts of `histogram` bins from `low` to `high`, or of `categories`."""

    name: str
    kind: str
    missing: int
    distinct: int | None
    summary: str
    histogram: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None
    categories: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class SuspectLabel:
    """A sample whose label is probably wrong: `probability` of its label and of the class that it seems to be of."""

    sample: str
    label: str
    suggested: str
    probability: float
    suggested_probability: float


@dataclass(frozen=True)
class LabelReport:
    """Labels by confident learning: `looked_at` samples, share `wrong` of them; see `label_errors`."""

    looked_at: int
    contradicted: float
    plain_contradicted: float
    suspects: tuple[SuspectLabel, ...]
    count: int
    found: bool


@dataclass(frozen=True)
class DataReport:
    """All of it. `kind`: table, pictures or arrays; `task` of the label; `skipped`: checks that were not done, with the reason.

    `rows`: a few samples, each by column (of a table); `pictures`: a few as data URIs by class.
    """

    path: str
    kind: str
    samples: int
    task: str = ""
    label: str = ""
    evaluation: str = ""
    findings: tuple[Finding, ...] = ()
    columns: tuple[ColumnReport, ...] = ()
    classes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    scores: tuple[ColumnScore, ...] = ()
    labels: LabelReport | None = None
    shifts: tuple[ColumnShift, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    rows: tuple[Mapping[str, str], ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()

    @property
    def verdict(self) -> str:
        """SPOILED where something would spoil a result, NOTICES where something is worth a look, else CLEAN."""
        if any(item.severity == "spoils" for item in self.findings):
            return "SPOILED"
        return "NOTICES" if self.findings else "CLEAN"
