"""What the looks of a plan decide: the stopping boundary, and an effect that allows for having looked before."""

from __future__ import annotations

from collections.abc import Sequence

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.experiments.planning.boundaries import exceeding_probability, find_boundaries, find_drift_of
from edgeship.monitoring.experiments.planning.plan import Plan
from edgeship.monitoring.experiments.verdicts.looks import Look
from edgeship.monitoring.experiments.verdicts.results import Effect, LookResult

NEAR = 1e-9  # of two shares that are the same


@dataclass(frozen=True)
class Decision:
    """What some looks came to. `crossed`: 1 where the last stopped the experiment above, -1 below, 0 where it did not."""

    looks: tuple[LookResult, ...]
    crossed: int
    over: bool
    effect: Effect


def decide(plan: Plan, looks: Sequence[Look]) -> Decision:
    """What at least one look says; what came after the look that decided is not looked at."""
    fractions = [look.fraction for look in looks]
    bounds = find_boundaries(fractions, plan.alpha)
    stop = next((place for place, look in enumerate(looks) if abs(look.z) >= bounds[place]), None)
    last = len(looks) - 1 if stop is None else stop
    over = stop is not None or fractions[last] >= 1 - NEAR
    shown = tuple(
        LookResult(place + 1, look.users_control, look.users_treatment, look.fraction, look.z, bound, look.taken)
        for place, (look, bound) in enumerate(zip(looks[: last + 1], bounds, strict=False))
    )
    crossed = 0 if stop is None else (1 if looks[last].z > 0 else -1)
    describe = _final_effect if over else _interim_effect
    return Decision(shown, crossed, over, describe(plan, looks[: last + 1], fractions[: last + 1], bounds[: last + 1]))


def next_fraction(plan: Plan, looks: Sequence[Look]) -> float:
    """The share of the planned users at which the next look is due."""
    reached = looks[-1].fraction if looks else 0.0
    return next((fraction for fraction in plan.fractions if fraction > reached + NEAR), 1.0)


def _final_effect(plan: Plan, looks: Sequence[Look], fractions: Sequence[float], bounds: Sequence[float]) -> Effect:
    look, earlier = looks[-1], bounds[:-1]
    unit = look.error * fractions[-1] ** 0.5  # of the drift: the standard error at the planned number of users
    ends = (find_drift_of(fractions, earlier, look.z, share) for share in (plan.alpha / 2, 0.5, 1 - plan.alpha / 2))
    low, middle, high = (unit * drift for drift in ends)
    above = exceeding_probability(fractions, earlier, look.z, 0.0)
    return _effect(plan, look, (low, middle, high), min(1.0, 2 * min(above, 1 - above)))


def _interim_effect(plan: Plan, looks: Sequence[Look], fractions: Sequence[float], bounds: Sequence[float]) -> Effect:
    look = looks[-1]
    difference, half = look.treatment - look.control, bounds[-1] * look.error
    return _effect(plan, look, (difference - half, difference, difference + half), None)


def _effect(plan: Plan, look: Look, ends: tuple[float, float, float], p: float | None) -> Effect:
    low, estimate, high = ends
    return Effect(
        look.control,
        look.treatment,
        look.treatment - look.control,
        look.error,
        estimate,
        low,
        high,
        1 - plan.alpha,
        p,
        look.reduction,
    )
