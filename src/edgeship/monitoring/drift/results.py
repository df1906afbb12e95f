"""What is said of drift in a week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.accuracy import Drop
from edgeship.monitoring.drift.moves import Move

DriftVerdict = Literal["OK", "INCONCLUSIVE", "NOTICE", "ALARM"]  # from the best to the worst


@dataclass(frozen=True)
class OutcomeRate:
    """How often an event was counted for an inference, in the baseline and in the week; 95 % interval of the change.

    None: too few installations for one.
    """

    name: str
    before: float
    now: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SliceResult:
    """A part of the installations, of at least 50 in the baseline and the week; p-values with Holm's correction for all parts.

    `drop`: of the estimated accuracy. `moved`: the histograms that moved within it.
    """

    dimension: str
    value: str
    installs: int
    baseline_installs: int
    p_moved: float
    p_drop: float | None
    moved: tuple[Move, ...]
    drop: Drop | None
    verdict: DriftVerdict


@dataclass(frozen=True)
class Judgement:
    """A week beside the baseline: `moved` are the histograms that moved, `histograms` all of them.

    `drop`: of the estimated accuracy, `accepted`: of the share of accepted in accepted and corrected outcomes. `outcomes`:
    errors, fallbacks and outcomes. `reasons`: of the verdict, in sentences.
    """

    verdict: DriftVerdict
    reasons: tuple[str, ...]
    moved: tuple[Move, ...]
    histograms: tuple[Move, ...]
    drop: Drop | None
    accepted: Drop | None
    outcomes: tuple[OutcomeRate, ...]
    slices: tuple[SliceResult, ...]


@dataclass(frozen=True)
class WeekSummary:
    """A week of one profile: what reported, and the estimated accuracy with its 95 % interval (by how installations differ).

    `role`: baseline, judged, or empty. `late`: reports that came after it was closed, which are not counted.
    """

    window: str
    role: str
    installs: int
    inferences: int
    late: int
    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LaunchCheck:
    """The field's first weeks beside the lab: the histograms furthest apart (total variation), and the estimated accuracy.

    `lab`: the accuracy that was measured on the evaluation data; `drop`: how much lower the estimate is. Users of a field are
    never those of a lab: a NOTICE at most.
    """

    windows: tuple[str, ...]
    distances: Mapping[str, float]
    lab: float | None
    estimate: float | None
    drop: Drop | None


@dataclass(frozen=True)
class EarlyChange:
    """A change of the mean of installations' estimated accuracy, `before` and `now`, of the last `installs` of them.

    `day`: when it was seen (UTC), by a report of `window`. `preliminary`: that week is not closed, so no verdict tells of it.
    """

    day: str
    window: str
    before: float
    now: float
    installs: int
    preliminary: bool


@dataclass(frozen=True)
class EarlyWatch:
    """What ADWIN saw in the reports in the order in which they arrived, of all weeks until now.

    `installs`: how many were read, each once a week. `warning`: a sentence where the last change is a fall in a week that is
    not closed, else empty. `missing`: why nothing was looked at, else empty.
    """

    installs: int
    changes: tuple[EarlyChange, ...]
    warning: str
    missing: str


@dataclass(frozen=True)
class DriftResult:
    """A week of reports of one profile; `preliminary`: reports of it are still taken.

    `judgement` is None where nothing can be compared yet. `notes`: what else to know. `version`: what the profile is called
    in a channel or registry, else empty. `early`: the warning between weeks, which is no part of the verdict; None where the
    accuracy is not estimated.
    """

    verdict: DriftVerdict
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    profile: str
    window: str
    preliminary: bool
    tolerance: float
    baseline: tuple[str, ...]
    weeks: tuple[WeekSummary, ...]
    launch: LaunchCheck | None
    judgement: Judgement | None
    early: EarlyWatch | None
    version: str = ""


@dataclass(frozen=True)
class NamedDrift:
    """A week of every version of a name of which there are reports, the most reports first; `verdict`: the worst of theirs.

    `silent`: versions without a report of that week.
    """

    verdict: DriftVerdict
    name: str
    window: str
    versions: tuple[DriftResult, ...]
    silent: tuple[str, ...]
