"""What an analysis of an experiment says."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass
from edgeship.types import Verdict


@dataclass(frozen=True)
class SampleRatio:
    """Users of both arms, the planned share of treatment, and the p-value (at any time) that they are a draw of it."""

    users_control: int
    users_treatment: int
    planned: float
    p: float
    passes: bool


@dataclass(frozen=True)
class LookResult:
    """A look that was taken: its place in the plan's order, users, share of the plan, z-value and the |z| that stops."""

    number: int
    users_control: int
    users_treatment: int
    fraction: float
    z: float
    boundary: float
    taken: str


@dataclass(frozen=True)
class Effect:
    """Treatment less control, in the metric's unit.

    `difference` is what was seen. Where the experiment is over, `estimate`, interval and two-sided `p` allow for the looks before
    (stage-wise ordering; too high as often as too low); before that the interval is the repeated one (Jennison and Turnbull 1989,
    J. of the Royal Statistical Society B 51:305), which holds at every look, the estimate is the difference, and p is None.
    """

    control: float
    treatment: float
    difference: float
    error: float
    estimate: float
    low: float
    high: float
    confidence: float
    p: float | None
    reduction: float


@dataclass(frozen=True)
class GuardrailResult:
    """A metric that must not get worse: FAIL where its confidence sequence says that it did, by more than `margin`.

    PASS: no such harm is shown. INCONCLUSIVE: too few users to tell anything.
    """

    metric: str
    margin: float
    better: str
    control: float
    treatment: float
    difference: float
    low: float
    high: float
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class ExperimentResult:
    """The verdict on an experiment, and why.

    PASS: treatment is better, as planned for, and no guardrail broke. FAIL: it is worse, or a guardrail broke. `over`: no look
    is left, or one decided. `effect` is None before the first look and where nothing may be said. `luck`: what chance alone
    does, in words. `next_look`: the users of both arms that it takes.
    """

    name: str
    metric: str
    verdict: Verdict
    reasons: tuple[str, ...]
    sample_ratio: SampleRatio
    planned_looks: int
    looks: tuple[LookResult, ...]
    over: bool
    guardrails: tuple[GuardrailResult, ...]
    effect: Effect | None = None
    luck: str = ""
    next_look: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
