"""What the commands of experiments print for people."""

from __future__ import annotations

import click

from edgeship import api
from edgeship.terminal import Column, make_console, make_table, wrap_text
from edgeship.untrusted import printable


def print_plan(planned: api.PlannedExperiment) -> None:
    """The looks of a plan, its users and weeks."""
    plan, schedule = planned.plan, planned.schedule
    heads = (
        "look",
        f"users {plan.control}",
        f"users {plan.treatment}",
        "stops at |z|",
        "p",
        "alpha so far",
        "stopped by then",
    )
    rows = [
        [
            str(number), f"{look.users_control:,}", f"{look.users_treatment:,}", f"{look.boundary:.3f}", f"{look.nominal_p:.2g}",
            f"{look.spent:.2g}", f"{look.stopped:.0%}",
        ]
        for number, look in enumerate(schedule.looks, 1)
    ]  # fmt: skip
    out = make_console()
    out.print(make_table([Column(text, right=True) for text in heads], rows, out.width))
    weeks = f", {schedule.weeks:,} weeks" if schedule.weeks else ""
    click.echo(
        f"{schedule.users:,} users in all{weeks} (one look alone: {schedule.fixed_users:,}); about {schedule.expected_users:,} "
        f"where the effect is {plan.effect:g}"
    )


def print_status(status: api.ExperimentStatus, asked: bool) -> None:
    """Where an experiment is, in a few lines."""
    plan = status.plan
    if asked:
        running = status.running
        where = "does not run in this channel"
        if running:
            arms = ", ".join(f"{arm.name} version {arm.version} ({arm.share})" for arm in running.arms)
            where = f"runs for {running.percent:g} % of the devices: {arms}"
        click.echo(f"{plan.name}: {where}")
    click.echo(f"{plan.name}: {len(status.looks)} of at most {plan.looks} looks taken{', over' if status.over else ''}")
    _print_looks(status.looks)
    if status.next_users:
        click.echo(f"next look at {status.next_users[0]:,} and {status.next_users[1]:,} users")


def print_result(result: api.ExperimentResult) -> None:
    """The verdict, why, and the figures behind it."""
    click.echo(f"experiment {result.name}: {result.verdict}")
    for text in (*result.reasons, *result.notes):
        click.echo(wrap_text(f"  {printable(text)}", indent=2))
    ratio = result.sample_ratio
    click.echo(f"users: {ratio.users_control:,} and {ratio.users_treatment:,} (sample ratio p = {ratio.p:.2g})")
    _print_looks(result.looks)
    effect = result.effect
    if effect:
        p, estimate = "", ""
        if effect.p is not None:
            p, estimate = f", p = {effect.p:.2g}", f"; estimate {effect.estimate:+.3g}"
        reduction = f", {effect.reduction:.0%} of the variance taken off (CUPED)" if effect.reduction else ""
        click.echo(
            f"{printable(result.metric)}: {effect.control:.4g} and {effect.treatment:.4g}, difference {effect.difference:+.3g}"
            f"{estimate} ({effect.confidence:.0%}: {effect.low:+.3g} to {effect.high:+.3g}{p}){reduction}"
        )
        click.echo(wrap_text(f"was it luck? {printable(result.luck)}", indent=2))
    for rail in result.guardrails:
        click.echo(
            f"guardrail {printable(rail.metric)}: {rail.verdict}, {rail.control:.3g} and {rail.treatment:.3g}, difference "
            f"{rail.low:+.2g} to {rail.high:+.2g}; {rail.reason}"
        )


def print_shadow(result: api.ShadowResult) -> None:
    """Where two models differ, and which of them is right."""
    click.echo(f"shadow: {result.verdict}; {result.reason}")
    span = "" if result.low is None else f" (95 %: {result.low:.2%} to {result.high:.2%})"
    users = "" if result.users is None else f" of {result.users:,} users"
    click.echo(f"{result.count:,} inputs{users}, {result.disagreements:,} answers differ: {result.share:.2%}{span}")
    out = make_console()
    rows = [[printable(pair.first), printable(pair.second), f"{pair.count:,}"] for pair in result.pairs]
    if rows:
        out.print(
            make_table([Column("first said"), Column("second said"), Column("times", right=True)], rows, out.width)
        )
    if result.method:
        click.echo(f"p by {result.method}")


def print_region(split: api.RegionSplit) -> None:
    """What a split by region takes for an effect."""
    click.echo(
        f"two equally good models, {split.users:,} users an arm, {split.runs:,} simulated experiments (seed {split.seed}), "
        "one look at 5 %:"
    )
    rows = [
        [
            f"by region ({split.baseline:.3g} and {split.other:.3g})",
            f"{split.region_wins:.1%}",
            f"{split.region_losses:.1%}",
        ],
        ["by user, at random", f"{split.random_wins:.1%}", f"{split.random_losses:.1%}"],
    ]
    out = make_console()
    columns = [Column("split"), Column('the new one "wins"', right=True), Column('it "loses"', right=True)]
    out.print(make_table(columns, rows, out.width))
    click.echo("What regions differ in is taken for the model's effect: a split by region is refused as an experiment.")


def _print_looks(looks: tuple[api.LookResult, ...]) -> None:
    if not looks:
        return
    heads = ("look", "users control", "users treatment", "of the plan", "z", "stops at |z|", "taken")
    rows = [
        [
            str(look.number), f"{look.users_control:,}", f"{look.users_treatment:,}", f"{look.fraction:.0%}", f"{look.z:+.2f}",
            f"{look.boundary:.2f}", look.taken,
        ]
        for look in looks
    ]  # fmt: skip
    out = make_console()
    out.print(make_table([Column(text, right=True) for text in heads], rows, out.width))
