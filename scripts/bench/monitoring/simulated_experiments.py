"""Made-up experiments by the thousand, judged by the functions that judge a real one; every draw has a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.experiments.planning.boundaries import find_boundaries
from edgeship.monitoring.experiments.planning.plan import Plan, make_plan
from edgeship.monitoring.experiments.users.estimates import Difference, Moments, compare_arms
from edgeship.monitoring.experiments.verdicts.confidence_sequences import (
    SAMPLE_RATIO_ALPHA,
    sample_ratio_p,
    sequence_halfwidth,
)
from edgeship.monitoring.experiments.verdicts.decision import decide
from edgeship.monitoring.experiments.verdicts.looks import Look

Array = np.ndarray[Any, Any]
Z95 = 1.959964
BATCH = 500  # experiments at once
TASTE, SESSIONS = 0.2, 5  # the correlation within a user, and inferences of a user on average


@dataclass(frozen=True)
class Shares:
    """Of simulated experiments: stopped by the plan's boundaries above and below, and by |z| > 1.96 at any look, at the last."""

    above: float
    below: float
    naive: float
    single: float

    @property
    def stopped(self) -> float:
        """Stopped by the boundaries, either way."""
        return self.above + self.below


@dataclass(frozen=True)
class Estimates:
    """Means over experiments that are over: what was seen, the estimate, both of winners alone.

    `covered`: how often the interval holds the truth; `too_high`: how often the estimate is above it.
    """

    seen: float
    estimate: float
    seen_of_winners: float
    estimate_of_winners: float
    covered: float
    too_high: float


def flat_moments(successes: Array, users: Array) -> Moments:
    """The moments of users who did (1) or did not (0): `successes` and `users` of the same shape."""
    share = successes / users
    means = np.zeros((*share.shape, 4))
    means[..., 0], means[..., 1] = share, 1.0
    covariances = np.zeros((*share.shape, 4, 4))
    covariances[..., 0, 0] = share * (1 - share) * users / np.maximum(users - 1, 1)
    return Moments(np.broadcast_to(users, share.shape).astype(float), means, covariances)


def summed_moments(users: Array, sums: Array, products: Array) -> Moments:
    """The moments from sums (..., 4) and sums of products (..., 4, 4) over users (...)."""
    means = sums / users[..., None]
    centred = products / users[..., None, None] - means[..., :, None] * means[..., None, :]
    return Moments(users.astype(float), means, centred * (users / (users - 1))[..., None, None])


def z_values(found: Difference) -> Array:
    """Differences in standard errors; 0 where there is no error yet."""
    return np.asarray(np.divide(found.difference, found.error, out=np.zeros_like(found.error), where=found.error > 0))


def count_stops(z: Array, fractions: list[float], alpha: float = 0.05) -> Shares:
    """What became of experiments whose z-values at the looks are `z` (runs, looks)."""
    bounds = np.array(find_boundaries(fractions, alpha))
    crossed = np.abs(z) >= bounds
    first = z[np.arange(len(z)), crossed.argmax(axis=1)]
    stops = crossed.any(axis=1)
    return Shares(
        float((stops & (first > 0)).mean()), float((stops & (first < 0)).mean()),
        float((np.abs(z) > Z95).any(axis=1).mean()), float((np.abs(z[:, -1]) > Z95).mean()),
    )  # fmt: skip


def draw_looks(
    rng: np.random.Generator, rates: tuple[float, float], users: int, looks: int, runs: int, less: int = 1
) -> Difference:
    """Experiments on a share of users: differences (runs, looks) of `users` an arm, as many new ones between looks.

    `less`: how many times smaller treatment is.
    """
    arms = []
    for rate, size in zip(rates, (users, users // less), strict=True):
        reached = np.array([size * (look + 1) // looks for look in range(looks)])
        drawn = rng.binomial(np.diff(reached, prepend=0), rate, (runs, looks)).cumsum(axis=1)
        arms.append(flat_moments(drawn, reached))
    return compare_arms(*arms)


def simulate_shares(
    rates: tuple[float, float], users: int, looks: int, runs: int, seed: int, *, less: int = 1
) -> Shares:
    """Stops of experiments with these shares of users in control and treatment; `less`: see `draw_looks`."""
    rng = np.random.default_rng(seed)
    fractions = [(users * (look + 1) // looks) / users for look in range(looks)]
    return count_stops(z_values(draw_looks(rng, rates, users, looks, runs, less)), fractions)


def simulate_skewed(users: tuple[int, int], looks: int, runs: int, seed: int) -> Shares:
    """A/A experiments on a ratio whose users are lognormal (sigma 1), as latencies are, with 1 + geometric inferences each."""
    rng = np.random.default_rng(seed)
    found = []
    for start in range(0, runs, BATCH):
        arms = []
        for count in users:
            step = count // looks
            of = 1.0 + rng.geometric(0.1, (min(BATCH, runs - start), looks, step))
            rows = np.stack([of * rng.lognormal(3, 1, of.shape), of, 0 * of, 0 * of], axis=-1)
            reached = np.broadcast_to(step * np.arange(1, looks + 1), of.shape[:2])
            sums, products = rows.sum(axis=2).cumsum(axis=1), (np.swapaxes(rows, -1, -2) @ rows).cumsum(axis=1)
            arms.append(summed_moments(reached, sums, products))
        found.append(z_values(compare_arms(*arms)))
    return count_stops(np.concatenate(found), [(look + 1) / looks for look in range(looks)])


def simulate_taste(users: int, looks: int, runs: int, seed: int, *, returning: bool = False) -> tuple[Shares, float]:
    """A/A experiments of users with tastes and numbers of inferences of their own; beside it the z-test per inference, once.

    Every user has a probability of a Beta distribution with correlation `TASTE`, and 1 + Poisson inferences. With `returning`
    users come back between looks, as many times as looks are left, so that old ones have more inferences than new ones.
    """
    rng = np.random.default_rng(seed)
    found, wrong = [], 0
    for start in range(0, runs, BATCH):
        count = min(BATCH, runs - start)
        arms = [_draw_taste(rng, users, looks, count, returning) for _ in range(2)]
        found.append(z_values(compare_arms(*(moments for moments, _ in arms))))
        (yes, of), (yes2, of2) = (pair for _, pair in arms)
        share = (yes + yes2) / (of + of2)
        z = (yes2 / of2 - yes / of) / np.sqrt(share * (1 - share) * (1 / of + 1 / of2))
        wrong += int((np.abs(z) > Z95).sum())
    fractions = [(look + 1) / looks for look in range(looks)]
    return count_stops(np.concatenate(found), fractions), wrong / runs


def _draw_taste(
    rng: np.random.Generator, users: int, looks: int, runs: int, returning: bool
) -> tuple[Moments, tuple[Array, Array]]:
    """The moments of an arm at each look, and all its successes and inferences at the last (runs,)."""
    base, spread = 0.1, 1 / TASTE - 1
    step = users // looks
    taste = rng.beta(base * spread, (1 - base) * spread, (runs, looks, step))
    of, yes = np.zeros_like(taste), np.zeros_like(taste)
    sums, products = np.zeros((runs, looks, 4)), np.zeros((runs, looks, 4, 4))
    for look in range(looks):
        seen = slice(0 if returning else look, look + 1)
        more = 1 + rng.poisson(SESSIONS - 1, taste[:, seen].shape)
        of[:, seen] += more
        yes[:, seen] += rng.binomial(more, taste[:, seen])
        there = slice(0, look + 1)
        rows = np.stack([yes[:, there].reshape(runs, -1), of[:, there].reshape(runs, -1)], axis=-1)
        sums[:, look, :2] = rows.sum(axis=1)
        products[:, look, :2, :2] = np.swapaxes(rows, 1, 2) @ rows
    reached = np.broadcast_to(step * np.arange(1, looks + 1), (runs, looks))
    return summed_moments(reached, sums, products), (yes.sum(axis=(1, 2)), of.sum(axis=(1, 2)))


def simulate_cuped(users: int, runs: int, seed: int, effect: float) -> tuple[float, float, float]:
    """The share of experiments that find an effect with one look, without and with the period before, and what it takes off."""
    rng = np.random.default_rng(seed)
    counts, reductions = np.zeros(2), []
    for start in range(0, runs, BATCH):
        count = min(BATCH, runs - start)
        arms = []
        for shift in (0.0, effect):
            taste = rng.beta(0.1 * 4, 0.9 * 4, (count, users))
            before = rng.binomial(10, taste)
            now = rng.binomial(10, np.minimum(taste + shift, 1))
            ten = np.full_like(now, 10)
            rows = np.stack([now, ten, before, ten], axis=-1).astype(float)
            arms.append(summed_moments(np.full(count, users), rows.sum(axis=1), np.swapaxes(rows, 1, 2) @ rows))
        for place, use in enumerate((False, True)):
            found = compare_arms(*arms, use_before=use)
            counts[place] += (np.abs(z_values(found)) > Z95).sum()
        reductions.append(found.reduction)
    return float(counts[0] / runs), float(counts[1] / runs), float(np.concatenate(reductions).mean())


def simulate_guardrail(rates: tuple[float, float], users: int, looks: int, runs: int, seed: int) -> Array:
    """The share of experiments that a guardrail has stopped by each look (looks,), margin 0."""
    rng = np.random.default_rng(seed)
    found = draw_looks(rng, rates, users, looks, runs)
    factors = np.array([sequence_halfwidth(1.0, (look + 1) / looks, 0.05) for look in range(looks)])
    reached = users * np.arange(1, looks + 1) // looks
    harm = (found.difference - factors * found.error > 0) & (reached >= 100)
    return np.asarray(np.maximum.accumulate(harm, axis=1).mean(axis=0))


def simulate_ratio_check(share: float, users: int, looks: int, runs: int, seed: int) -> float:
    """The share of experiments whose sample ratio was off at any look, with so many users in all and this true share."""
    rng = np.random.default_rng(seed)
    step = users // looks
    treatment = rng.binomial(step, share, (runs, looks)).cumsum(axis=1)
    of = step * np.arange(1, looks + 1)
    return float((sample_ratio_p(of - treatment, treatment, 0.5) < SAMPLE_RATIO_ALPHA).any(axis=1).mean())


def take_looks(found: Difference, run: int, reached: list[int]) -> list[Look]:
    """The looks at one of some experiments (runs, looks), with so many users an arm."""
    columns = (found.control[run].tolist(), found.treatment[run].tolist(), found.error[run].tolist())
    return [
        Look(count, count, count / reached[-1], control, treatment, error, 0.0, "", "")
        for count, control, treatment, error in zip(reached, *columns, strict=True)
    ]


def simulate_estimates(plan: Plan, rate: float, runs: int, seed: int) -> Estimates:
    """What `decide` says of whole experiments on a share of users, one after the other, with the truth known."""
    rng = np.random.default_rng(seed)
    users = min(plan.users_control, plan.users_treatment)
    found = draw_looks(rng, (plan.baseline, rate), users, plan.looks, runs)
    reached = [users * (look + 1) // plan.looks for look in range(plan.looks)]
    effects, winners = [], []
    for run in range(runs):
        looks = take_looks(found, run, reached)
        decision = next(item for end in range(1, plan.looks + 1) if (item := decide(plan, looks[:end])).over)
        effects.append(decision.effect)
        winners.append(decision.crossed > 0)
    truth, won = rate - plan.baseline, np.array(winners)
    seen, middle = (np.array([getattr(item, name) for item in effects]) for name in ("difference", "estimate"))
    covered = np.mean([item.low <= truth <= item.high for item in effects])
    return Estimates(
        float(seen.mean()), float(middle.mean()), float(seen[won].mean()) if won.any() else 0.0,
        float(middle[won].mean()) if won.any() else 0.0, float(covered), float((middle > truth).mean()),
    )  # fmt: skip


def plan_of(looks: int, effect: float = 0.01) -> Plan:
    """The plan of the notes: 10 % against 11 %, with 80 % power; its salt plays no part here."""
    return replace(make_plan(metric="any bought", baseline=0.10, effect=effect, looks=looks), salt="simulated")
