"""An experiment, judged by its plan: is the draw as it should be, did a guardrail break, is a look due, what does it say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.experiments.planning.metrics import Metric, check_counts, parse_metric
from edgeship.monitoring.experiments.planning.plan import Guardrail, Plan
from edgeship.monitoring.experiments.users.estimates import Difference, compare_arms, has_period_before, take_moments
from edgeship.monitoring.experiments.users.user_totals import UserTotals
from edgeship.monitoring.experiments.verdicts.confidence_sequences import (
    LEAST_USERS,
    SAMPLE_RATIO_ALPHA,
    sample_ratio_p,
    sequence_halfwidth,
)
from edgeship.monitoring.experiments.verdicts.decision import NEAR, Decision, decide, next_fraction
from edgeship.monitoring.experiments.verdicts.looks import Ledger, Look
from edgeship.monitoring.experiments.verdicts.luck import describe_luck, figure
from edgeship.monitoring.experiments.verdicts.results import ExperimentResult, GuardrailResult, SampleRatio
from edgeship.types import Verdict
from edgeship.untrusted import printable

MOST_IN_TWO_ARMS = 0.01  # of the users; fewer are left out


@dataclass(frozen=True)
class Analysis:
    """The result, and the looks with the one that was taken for it, if one was."""

    result: ExperimentResult
    ledger: Ledger


def analyse(plan: Plan, totals: UserTotals, ledger: Ledger) -> Analysis:
    """The verdict on an experiment from its users so far; takes the next look where it is due.

    The same data again is no further look. Raises InputError for arms that are not the plan's, a metric that was never
    reported, and arms that follow the region.
    """
    metric = parse_metric(plan.metric)
    _check_totals(plan, totals, metric)
    ratio = check_sample_ratio(plan, totals)
    rails = tuple(_judge_guardrail(plan, rail, totals) for rail in plan.guardrails)
    mixed = totals.in_two_arms / (len(totals.arms) + totals.in_two_arms)
    notes = [f"{totals.in_two_arms:,} users were seen in both arms and left out"] if totals.in_two_arms else []
    reason = ""
    if not ratio.passes:
        reason = (
            f"the sample ratio is off (p = {ratio.p:.1g}): {ratio.users_control:,} and {ratio.users_treatment:,} users are no "
            f"draw of {1 - ratio.planned:.0%} and {ratio.planned:.0%}; one arm loses users or reports, so nothing is compared"
        )
    elif mixed > MOST_IN_TWO_ARMS:
        reason = (
            f"{mixed:.1%} of the users were seen in both arms: the assignment does not hold, so nothing is compared"
        )
    if reason:
        decision = None
    else:
        ledger, notes = _take_look(plan, totals, metric, ledger, notes)
        decision = decide(plan, ledger.looks) if ledger.looks else None
    return Analysis(_describe(plan, totals, ratio, rails, decision, ledger, notes, reason), ledger)


def check_sample_ratio(plan: Plan, totals: UserTotals) -> SampleRatio:
    """Whether the users of both arms are a draw of the planned shares."""
    control, treatment = (int(totals.users_of(arm).sum()) for arm in (plan.control, plan.treatment))
    share = plan.treatment_percent / 100
    p = float(sample_ratio_p(control, treatment, share))
    return SampleRatio(control, treatment, share, p, p >= SAMPLE_RATIO_ALPHA)


def planned_fraction(plan: Plan, users_control: int, users_treatment: int) -> float:
    """The users so far as a share of the planned ones, each counted as in arms of the same size."""
    planned = 1 / plan.users_control + 1 / plan.users_treatment
    return planned / (1 / users_control + 1 / users_treatment)


def next_users(plan: Plan, looks: Sequence[Look]) -> tuple[int, int]:
    """The users of control and treatment at which the next look is due."""
    fraction = next_fraction(plan, looks)
    return math.ceil(plan.users_control * fraction), math.ceil(plan.users_treatment * fraction)


def _check_totals(plan: Plan, totals: UserTotals, metric: Metric) -> None:
    if strange := sorted({*totals.names} - {plan.control, plan.treatment}):
        raise InputError(f"arm '{printable(strange[0])}' is not in the plan: {plan.control}, {plan.treatment}")
    for arm in (plan.control, plan.treatment):
        if not totals.users_of(arm).any():
            raise InputError(f"no user is in the arm '{arm}'; arms that are there: {', '.join(totals.names) or 'none'}")
    check_counts([metric, *(parse_metric(rail.metric) for rail in plan.guardrails)], totals.sums, "the users")
    for name in metric.counts:
        if not totals.sums[name].any():
            raise InputError(f"'{name}' of the metric '{plan.metric}' was never reported: it is 0 for every user")
    regions = totals.regions or {}
    if len(regions) > 1 and all(len(arms) == 1 for arms in regions.values()):
        raise InputError(
            "each region has one arm only: that is no randomized experiment, whatever differs between regions looks like an "
            "effect (`edgeship experiment region` shows how often); draw the arms by user (`edgeship experiment start`)"
        )


def _judge_guardrail(plan: Plan, rail: Guardrail, totals: UserTotals) -> GuardrailResult:
    metric = parse_metric(rail.metric)
    moments = [take_moments(totals, metric, arm) for arm in (plan.control, plan.treatment)]
    found = compare_arms(*moments)
    users = [int(item.users) for item in moments]
    alpha = plan.alpha / len(plan.guardrails)
    half = sequence_halfwidth(float(found.error), planned_fraction(plan, *users), alpha)
    difference = float(found.difference)
    harm, most = (
        (difference - half, difference + half) if rail.better == "lower" else (-difference - half, half - difference)
    )
    verdict, reason = Verdict.PASS, f"harm beyond {figure(rail.margin)} is not shown, and not ruled out"
    if min(users) < LEAST_USERS:
        verdict, reason = Verdict.INCONCLUSIVE, f"fewer than {LEAST_USERS} users in an arm"
    elif harm > rail.margin:
        verdict, reason = Verdict.FAIL, f"{'higher' if difference > 0 else 'lower'} by at least {figure(harm)}"
    elif not found.error > 0:
        reason = "the same for every user; where it never happened, that rules nothing out"
    elif most <= rail.margin:
        reason = f"harm beyond {figure(rail.margin)} is ruled out"
    return GuardrailResult(
        rail.metric, rail.margin, rail.better, float(found.control), float(found.treatment), difference,
        difference - half, difference + half, verdict, reason,
    )  # fmt: skip


def _take_look(
    plan: Plan, totals: UserTotals, metric: Metric, ledger: Ledger, notes: Sequence[str]
) -> tuple[Ledger, list[str]]:
    """The looks with the one that is due now, if one is."""
    said = list(notes)
    if ledger.looks and ledger.looks[-1].digest == totals.digest:
        return ledger, said
    if ledger.looks and decide(plan, ledger.looks).over:
        said.append(f"the experiment was over at look {len(ledger.looks)}: what came later is not looked at")
        return ledger, said
    look = make_look(plan, totals, metric)
    if look is None:
        said.append("every user has the same value so far: there is nothing to look at")
        return ledger, said
    if look.fraction < next_fraction(plan, ledger.looks) - NEAR:
        return ledger, said
    return Ledger(ledger.plan, (*ledger.looks, look)), said


def make_look(plan: Plan, totals: UserTotals, metric: Metric) -> Look | None:
    """A look at users, with CUPED where all of the metric is known of the period before; None where all users are alike."""
    moments = [take_moments(totals, metric, arm) for arm in (plan.control, plan.treatment)]
    found: Difference = compare_arms(*moments, use_before=has_period_before(metric, totals.before))
    control, treatment = (int(item.users) for item in moments)
    if not found.error > 0:
        return None
    return Look(
        control,
        treatment,
        planned_fraction(plan, control, treatment),
        float(found.control),
        float(found.treatment),
        float(found.error),
        float(found.reduction),
        totals.digest,
        datetime.now(UTC).date().isoformat(),
    )


def _describe(
    plan: Plan, totals: UserTotals, ratio: SampleRatio, rails: tuple[GuardrailResult, ...], decision: Decision | None,
    ledger: Ledger, notes: Sequence[str], reason: str,
) -> ExperimentResult:  # fmt: skip
    over = decision is not None and decision.over
    due = None if over else next_users(plan, ledger.looks)
    verdict, reasons = _judge(plan, rails, decision, due, ratio) if not reason else (Verdict.INCONCLUSIVE, [reason])
    broken = [f"guardrail '{rail.metric}': {rail.reason}" for rail in rails if rail.verdict is Verdict.FAIL]
    if broken:
        verdict, reasons = Verdict.FAIL, [*broken, *reasons]
    return ExperimentResult(
        plan.name, plan.metric, verdict, tuple(reasons), ratio, plan.looks, decision.looks if decision else (), over, rails,
        decision.effect if decision else None, describe_luck(plan, decision) if decision else "", due, tuple(notes),
    )  # fmt: skip


def _judge(
    plan: Plan,
    rails: Sequence[GuardrailResult],
    decision: Decision | None,
    due: tuple[int, int] | None,
    ratio: SampleRatio,
) -> tuple[Verdict, list[str]]:
    """The verdict of the looks, before guardrails that broke."""
    if decision is None or not decision.over:
        users = f"{due[0]:,} and {due[1]:,} users" if due else ""
        number = len(decision.looks) + 1 if decision else 1
        there = f"{ratio.users_control:,} and {ratio.users_treatment:,} are there"
        return Verdict.INCONCLUSIVE, [f"look {number} of at most {plan.looks} is due at {users}; {there}"]
    effect = decision.effect
    span = f"{figure(effect.low)} and {figure(effect.high)}"
    if decision.crossed == 0:
        sign = 1 if plan.better == "higher" else -1
        best = max(sign * effect.low, sign * effect.high)
        ruled = f"; an effect of {figure(plan.effect)} is ruled out" if best < plan.effect else ""
        return Verdict.INCONCLUSIVE, [f"no look showed a difference (between {span}){ruled}"]
    better = (decision.crossed > 0) == (plan.better == "higher")
    found = f"{plan.treatment} is {'better' if better else 'worse'} in '{plan.metric}' (difference between {span})"
    if not better:
        return Verdict.FAIL, [found]
    unsure = [rail for rail in rails if rail.verdict is Verdict.INCONCLUSIVE]
    if unsure:
        return Verdict.INCONCLUSIVE, [found, f"guardrail '{unsure[0].metric}': {unsure[0].reason}"]
    return Verdict.PASS, [found]
