"""What chance alone does, in words: for people who ask whether a result was luck."""

from __future__ import annotations

from edgeship.monitoring.experiments.planning.plan import Plan
from edgeship.monitoring.experiments.verdicts.decision import Decision

CLEAR = 0.1  # of a standard error: a difference that is worth a sentence


def describe_luck(plan: Plan, decision: Decision) -> str:
    """One or two sentences: how often chance alone does what was seen, and what an early stop does to a figure."""
    effect = decision.effect
    if effect.p is None:
        chance = plan.alpha
        return (
            f"Not known yet: looks are planned so that chance alone stops {chance:.0%} of experiments between equal models at "
            "any of them; a difference that is seen before a look decides is worth nothing yet."
        )
    times = 1 / max(effect.p, 1e-12)
    often = f"about 1 of {figure(times)}" if times >= 2 else "more than half of all"
    text = f"If both models were equally good, {often} such experiments would end as clearly as this one"
    text += " by luck." if decision.crossed else ": luck does this, and it shows nothing."
    gap = effect.difference - effect.estimate
    if decision.crossed and abs(gap) > CLEAR * effect.error:
        text += (
            f" Seen were {figure(effect.difference)}; as a look stops where a difference happens to be large, "
            f"{figure(effect.estimate)} is the better guess."
        )
    return text


def figure(value: float) -> str:
    """A figure of three digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
