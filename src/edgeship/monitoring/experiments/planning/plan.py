"""The plan of an experiment: how many users, how many looks, and what decides; written down before anything is seen."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.experiments.planning.boundaries import (
    find_boundaries,
    find_crossing,
    find_drift,
    spend_alpha,
)
from edgeship.monitoring.experiments.planning.metrics import parse_metric
from edgeship.typed_json import convert

MOST_LOOKS = 50
LEAST_AT_A_LOOK = 10  # users of an arm: z-values of fewer are not normal
MOST_USERS = 10**12
Share = Annotated[float, Meta(gt=0, lt=1)]
Better = Literal["higher", "lower"]
NAME, NAME_WORDS = r"^[a-z0-9][a-z0-9._-]{0,63}$", "a name of lower-case letters, digits and '-._'"
Name = Annotated[str, Meta(pattern=NAME)]


@dataclass(frozen=True)
class Guardrail:
    """A metric that must not get worse by more than `margin` (in its own unit)."""

    metric: str
    margin: Annotated[float, Meta(ge=0)] = 0.0
    better: Better = "lower"

    def __post_init__(self) -> None:
        parse_metric(self.metric)
        if not math.isfinite(self.margin):
            raise ValueError("its margin must be finite")


@dataclass(frozen=True)
class Plan:
    """What is decided beforehand, as `experiment.toml` has it.

    `baseline` and the least `effect` worth finding are in the unit of `metric`; `deviation`: the standard deviation of a user's
    value, None for a share of users. `users_control` and `users_treatment` are reached at the last of `looks`. `alpha` is
    two-sided. `salt` draws the devices; each experiment has one of its own.
    """

    name: Name
    metric: str
    baseline: float
    effect: Annotated[float, Meta(gt=0)]
    users_control: Annotated[int, Meta(ge=1, le=MOST_USERS)]
    users_treatment: Annotated[int, Meta(ge=1, le=MOST_USERS)]
    salt: Annotated[str, Meta(min_length=1, max_length=200)]
    deviation: Annotated[float, Meta(gt=0)] | None = None
    better: Better = "higher"
    alpha: Annotated[float, Meta(gt=0, le=0.5)] = 0.05
    power: Share = 0.8
    looks: Annotated[int, Meta(ge=1, le=MOST_LOOKS)] = 5
    control: Name = "control"
    treatment: Name = "treatment"
    treatment_percent: Annotated[int, Meta(ge=1, le=99)] = 50
    users_a_week: Annotated[float, Meta(gt=0)] | None = None
    guardrails: tuple[Guardrail, ...] = ()
    schema: Literal[1] = 1

    def __post_init__(self) -> None:
        parse_metric(self.metric)
        if self.control == self.treatment:
            raise ValueError("its two arms have the same name")
        if not all(map(math.isfinite, (self.baseline, self.effect, self.deviation or 0.0, self.users_a_week or 0.0))):
            raise ValueError("its numbers must be finite")

    @property
    def fractions(self) -> tuple[float, ...]:
        """The share of the planned users at each look."""
        return tuple((look + 1) / self.looks for look in range(self.looks))


@dataclass(frozen=True)
class PlannedLook:
    """A look: its users so far, the |z| that stops it, the two-sided p-value of that, and alpha that is spent by then.

    `stopped`: the probability of having stopped by then where the effect is as planned.
    """

    users_control: int
    users_treatment: int
    boundary: float
    nominal_p: float
    spent: float
    stopped: float


@dataclass(frozen=True)
class Schedule:
    """The looks of a plan. `fixed_users`: of both arms with a single look; `expected_users`: where the effect is as planned.

    `weeks`: to the last look at the present traffic, None where that is not known.
    """

    looks: tuple[PlannedLook, ...]
    users: int
    fixed_users: int
    expected_users: int
    weeks: int | None = None


def make_plan(
    *,
    name: str = "e1",
    metric: str = "any outcome",
    baseline: float | None,
    effect: float,
    deviation: float | None = None,
    better: Better = "higher",
    alpha: float = 0.05,
    power: float = 0.8,
    looks: int = 5,
    treatment_percent: int = 50,
    users_a_week: float | None = None,
    guardrails: Sequence[tuple[str, float]] = (),
    salt: str = "",
) -> Plan:
    """A plan with as many users as find a difference of `effect` with a probability of `power`.

    `guardrails`: each a metric and its margin.

    Raises InputError for what cannot be planned: a share outside 0 to 1, a metric that is no share without its deviation.
    """
    if deviation is None and not parse_metric(metric).any:
        raise InputError(
            f"the metric '{metric}' is no share of users ('any x'); name the standard deviation of a user's value (--deviation), "
            "or a table of users (--data)"
        )
    if baseline is None:
        raise InputError("name the metric's value today (--baseline), or a table of users (--data)")
    share = treatment_percent / 100
    total = _count_users(_variances(baseline, effect, deviation, better), effect, share, (alpha, power), looks)
    values = {
        "name": name,
        "metric": metric,
        "baseline": baseline,
        "effect": effect,
        "deviation": deviation,
        "users_control": math.ceil(total * (1 - share)),
        "users_treatment": math.ceil(total * share),
        "salt": salt or f"{name}/{secrets.token_hex(8)}",
        "better": better,
        "alpha": alpha,
        "power": power,
        "looks": looks,
        "treatment_percent": treatment_percent,
        "users_a_week": users_a_week,
        "guardrails": [{"metric": text, "margin": margin} for text, margin in guardrails],
    }
    return convert(Plan, values, names={NAME: NAME_WORDS})


def _count_users(
    variances: tuple[float, float], effect: float, share: float, errors: tuple[float, float], looks: int
) -> float:
    """The users of both arms that find an effect with errors (alpha, power), as many new ones between looks."""
    alpha, power = errors
    if not (0 < alpha <= 0.5 and alpha < power < 1) or not 1 <= looks <= MOST_LOOKS:
        raise InputError(
            f"--alpha must be above 0 and at most 0.5, --power above it and below 1; --looks from 1 to {MOST_LOOKS}"
        )
    fractions = [(look + 1) / looks for look in range(looks)]
    drift = find_drift(fractions, find_boundaries(fractions, alpha), power)
    control, treatment = variances
    own = control / (1 - share) + treatment / share
    pooled = (control * (1 - share) + treatment * share) / (share * (1 - share))
    ratio = drift * math.sqrt(max(own, pooled)) / effect  # as the analysis takes the greater of both
    total = ratio * ratio  # infinite where numbers are beyond floats; `**` raises there
    if total > MOST_USERS:
        raise InputError(f"an effect of {effect:g} would take {total:.1e} users; plan for a greater one")
    if min(share, 1 - share) * total / looks < LEAST_AT_A_LOOK:
        raise InputError(
            f"{looks} looks at {math.ceil(total):,} users leave fewer than {LEAST_AT_A_LOOK} an arm to one; plan fewer looks"
        )
    return total


def plan_schedule(plan: Plan) -> Schedule:
    """The looks of a plan, with the boundaries of looks that fall as planned."""
    fractions = plan.fractions
    bounds = find_boundaries(fractions, plan.alpha)
    drift = find_drift(fractions, bounds, plan.power)
    crossing = find_crossing(fractions, bounds, drift)
    stops = [above + below for above, below in zip(crossing.above, crossing.below, strict=True)]
    total = plan.users_control + plan.users_treatment
    looks = tuple(
        PlannedLook(
            math.ceil(plan.users_control * fraction),
            math.ceil(plan.users_treatment * fraction),
            bound,
            two_sided_p(bound),
            spend_alpha(fraction, plan.alpha),
            sum(stops[: place + 1]),
        )
        for place, (fraction, bound) in enumerate(zip(fractions, bounds, strict=True))
    )
    shares = [*stops[:-1], 1 - sum(stops[:-1])]
    expected = sum(share * fraction for share, fraction in zip(shares, fractions, strict=True))
    single = find_drift([1.0], find_boundaries([1.0], plan.alpha), plan.power)
    return Schedule(
        looks,
        total,
        math.ceil(total * (single / drift) ** 2),
        math.ceil(total * expected),
        math.ceil(total / plan.users_a_week) if plan.users_a_week else None,
    )


def two_sided_p(z: float) -> float:
    """The two-sided p-value of a standard normal deviate."""
    return math.erfc(abs(z) / math.sqrt(2))


def _variances(baseline: float, effect: float, deviation: float | None, better: Better) -> tuple[float, float]:
    """The variance of a user's value in each arm: p (1 - p) for a share."""
    if not (math.isfinite(baseline) and math.isfinite(effect) and effect > 0):
        raise InputError("--baseline must be a number, and --effect one above 0: the least difference worth finding")
    if deviation is not None:
        if not (math.isfinite(deviation) and deviation > 0):
            raise InputError("--deviation must be a number above 0")
        return deviation * deviation, deviation * deviation
    other = baseline + (effect if better == "higher" else -effect)
    if not (0 < baseline < 1 and 0 < other < 1):
        raise InputError(
            f"a share of users lies between 0 and 1; baseline {baseline:g} and effect {effect:g} lead to {other:g} "
            "(of another metric name --metric and --deviation)"
        )
    return baseline * (1 - baseline), other * (1 - other)
