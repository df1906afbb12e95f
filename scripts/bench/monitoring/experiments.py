"""How often an experiment is wrong, simulated with the product's own functions: writes docs/results/monitoring/experiments.md.

Exit code 1 where a bar is missed. `python -m scripts.bench.monitoring.experiments`: some five minutes of one core.
"""

from __future__ import annotations

import sys
import time
from datetime import date

from edgeship.monitoring.experiments.planning.plan import plan_schedule
from edgeship.monitoring.experiments.region import SEED, simulate_region_split
from scripts import RESULTS
from scripts.bench.monitoring import simulated_experiments as simulated

RUNS = 10_000
PAGE = RESULTS / "monitoring" / "experiments.md"
MOST = 0.06  # where users are skewed or few: less is no fault
LOW, HIGH = 0.04, 0.055  # of experiments between equal models that find a difference
NEAR = 0.03  # of the planned power


def equal_models(missed: list[str]) -> list[str]:
    """Rows: A/A, 20 looks."""
    rows = []
    for seed, (users, looks) in enumerate(((2000, 20), (20_000, 20), (20_000, 5), (60, 5)), 1):
        found = simulated.simulate_shares((0.10, 0.10), users, looks, RUNS, seed)
        if not LOW <= found.stopped <= HIGH:
            missed.append(f"A/A with {users} users and {looks} looks: {found.stopped:.1%}")
        rows.append(
            f"| 10 % of users | {users:,} | {looks} | {seed} | {found.stopped:.1%} | {found.naive:.1%} | {found.single:.1%} | |"
        )
    for seed, returning, runs in ((5, False, RUNS), (6, True, 2000)):
        found, per_inference = simulated.simulate_taste(1000, 20, runs, seed, returning=returning)
        if not returning and not LOW <= found.stopped <= HIGH:
            missed.append(f"A/A with users of different taste: {found.stopped:.1%}")
        what = "a ratio; users of different taste" + (" who come back at every look" if returning else "")
        rows.append(
            f"| {what}{'' if runs == RUNS else f' ({runs:,} runs)'} | 1,000 | 20 | {seed} | {found.stopped:.1%} | "
            f"{found.naive:.1%} | {found.single:.1%} | {per_inference:.1%} |"
        )
    uneven = [
        (
            "10 % of users; one of ten in treatment",
            1800,
            simulated.simulate_shares((0.1, 0.1), 1800, 5, RUNS, 7, less=9),
        ),
        (
            "2 % of users; one of ten in treatment",
            900,
            simulated.simulate_shares((0.02, 0.02), 900, 5, RUNS, 8, less=9),
        ),
        ("a skewed ratio; one of ten in treatment", 1800, simulated.simulate_skewed((1800, 200), 5, 5000, 9)),
        ("a skewed ratio", 1000, simulated.simulate_skewed((1000, 1000), 5, 5000, 10)),
    ]
    for seed, (what, users, found) in enumerate(uneven, 7):
        if found.stopped > MOST:
            missed.append(f"A/A, {what}: {found.stopped:.1%}")
        rows.append(
            f"| {what} | {users:,} | 5 | {seed} | {found.stopped:.1%} | {found.naive:.1%} | {found.single:.1%} | |"
        )
    return rows


def better_models(missed: list[str]) -> list[str]:
    """Rows: 10 against 11 %, with as many users as planned."""
    rows = []
    for seed, looks in enumerate((1, 5, 20), 11):
        plan = simulated.plan_of(looks)
        found = simulated.simulate_shares((0.10, 0.11), plan.users_control, looks, RUNS, seed)
        if abs(found.above - plan.power) > NEAR:
            missed.append(f"power with {looks} looks: {found.above:.1%}")
        expected = plan_schedule(plan).expected_users / 2
        rows.append(
            f"| {looks} | {plan.users_control:,} | {expected:,.0f} | {seed} | {found.above:.1%} | {found.below:.2%} |"
        )
    return rows


def estimates() -> list[str]:
    """Rows: what is said of the effect at the end."""
    rows = []
    for seed, rate in ((21, 0.11), (22, 0.10)):
        found = simulated.simulate_estimates(simulated.plan_of(5), rate, 2000, seed)
        points = [f"{100 * value:.2f}" for value in (
            rate - 0.10, found.seen, found.estimate, found.seen_of_winners, found.estimate_of_winners,
        )]  # fmt: skip
        rows.append(f"| {' | '.join(points)} | {found.covered:.1%} | {found.too_high:.1%} | {seed} |")
    return rows


def guardrails(missed: list[str]) -> list[str]:
    """Rows: how many are stopped by look 2, 5, 10, 20."""
    rows = []
    for seed, rate in enumerate((0.005, 0.0075, 0.01, 0.02), 31):
        stopped = simulated.simulate_guardrail((0.005, rate), 20_000, 20, 5000, seed)
        cells = " | ".join(f"{stopped[look - 1]:.1%}" for look in (2, 5, 10, 20))
        rows.append(f"| .50 % to {100 * rate:.2f} % | 20 | {seed} | {cells} |")
    often = simulated.simulate_guardrail((0.005, 0.005), 20_000, 200, 5000, 35)[-1]
    rows.append(f"| .50 % to 0.50 % | 200 | 35 | | | | {often:.1%} |")
    if often > 0.05:
        missed.append(f"guardrail of equal models: {often:.1%}")
    return rows


def other_lines(missed: list[str]) -> list[str]:
    """The sample ratio, CUPED, and the split by region."""
    ratios = [
        simulated.simulate_ratio_check(share, users, 20, RUNS, 41)
        for share, users in ((0.5, 10_000), (0.51, 10_000), (0.52, 10_000), (0.51, 100_000))
    ]
    if ratios[0] > 0.01:
        missed.append(f"sample ratio of a right draw: {ratios[0]:.2%}")
    plain, cuped, taken = simulated.simulate_cuped(2000, 2000, 42, 0.01)
    plain_equal, cuped_equal, _ = simulated.simulate_cuped(2000, 2000, 43, 0.0)
    region = simulate_region_split()
    return [
        f"- **Sample ratio**, at 20 looks (seed 41): a right draw of 10,000 users is called off in {ratios[0]:.2%}; 51 to 49 "
        f"is found in {ratios[1]:.0%}, 52 to 48 in {ratios[2]:.0%}, 51 to 49 of 100,000 users in {ratios[3]:.0%}.",
        f"- **CUPED**, 2,000 users an arm with 10 inferences before and 10 in the experiment (seeds 42, 43): it takes off "
        f"{taken:.0%} of the variance; one look finds a point in {plain:.0%} without it and in {cuped:.0%} with it, nothing in "
        f"{plain_equal:.1%} and {cuped_equal:.1%} (2,000 runs).",
        f"- **Split by region**, 10 and 11 % of users, equal models, {region.users:,} users an arm, one look (seed {SEED}): "
        f'the new model "wins" in {region.region_wins:.0%}; drawn by user in {region.random_wins:.1%}.',
    ]


def render(missed: list[str], seconds: float, parts: dict[str, list[str]]) -> str:
    """The page."""
    verdict = "All bars are met." if not missed else f"Missed: {'; '.join(missed)}."
    return "\n".join(
        [
            "# How often an experiment is wrong", "",
            "By `python -m scripts.bench.monitoring.experiments`, with the functions that judge a real experiment "
            "(boundaries, estimates, decision, confidence sequence) on made-up users "
            f"(`scripts/bench/monitoring/simulated_experiments.py`). All figures are `simulated`; {RUNS:,} runs where nothing "
            "else is said, so that 5 % is known to 0.4 points (two standard errors).",
            f"{date.today()}, {seconds:.0f} s. Bars: {LOW:.0%} to {HIGH:.1%} of experiments between equal models find a "
            f"difference (skewed or few users: at most {MOST:.0%}); power within {100 * NEAR:.0f} points of the plan. "
            f"{verdict}", "",
            "## Equal models: how many find a difference", "",
            "*plan*: stopped by the boundaries of the plan at any look. *1.96 at every look*: what peeking does. *one look*: "
            f"1.96 at the end. *per inference*: the z-test of inferences, once, which takes {simulated.SESSIONS} inferences of a "
            f"user (correlation {simulated.TASTE}) for as many draws.", "",
            "| metric | users of control | looks | seed | plan | 1.96 at every look | one look | per inference |",
            "|---|---|---|---|---|---|---|---|", *parts["equal"], "",
            "## A better model: 10 to 11 % of users, planned for 80 %", "",
            "| looks | users an arm | on average | seed | found | found the other way |", "|---|---|---|---|---|---|",
            *parts["better"], "",
            "## What is said of the effect at the end", "",
            "In points, 5 looks, 2,000 runs. *seen*: the plain difference when the experiment stopped; *estimate*: the one that "
            "is shown, which is too high as often as too low over all experiments. Winners alone are those that luck helped, and "
            "no estimate that knows but one experiment takes all of that off.", "",
            "| truth | seen | estimate | seen, winners | estimate, winners | interval holds it | estimate too high | seed |",
            "|---|---|---|---|---|---|---|---|", *parts["estimates"], "",
            "## Guardrails: a rate of errors that rises, stopped by look", "",
            "20,000 users an arm at the end, 5,000 runs, margin 0.", "",
            "| rate | looks | seed | by look 2 | 5 | 10 | last |", "|---|---|---|---|---|---|---|", *parts["guardrails"], "",
            "## The rest", "", *parts["other"], "",
        ]
    )  # fmt: skip


def main() -> None:
    """Run all simulations, write the page, and say whether the bars are met."""
    begin, missed = time.perf_counter(), list[str]()
    parts = {
        "equal": equal_models(missed),
        "better": better_models(missed),
        "estimates": estimates(),
        "guardrails": guardrails(missed),
        "other": other_lines(missed),
    }
    PAGE.write_text(render(missed, time.perf_counter() - begin, parts), encoding="utf-8")
    print(f"{PAGE}: {'; '.join(missed) or 'all bars are met'}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
