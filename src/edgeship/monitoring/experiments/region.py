"""Why a split by region is no experiment: a simulation of what it takes for an effect."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.experiments.planning.plan import make_plan

Array = np.ndarray[Any, Any]
SEED, RUNS = 20261129, 20_000


@dataclass(frozen=True)
class RegionSplit:
    """Simulated experiments of two models that are equally good, with so many users an arm and one look at 5 %.

    The share in which the new model "wins", and the one in which it "loses": where it goes to the region with the `other` share
    of users who do what is counted, and where the same users are drawn at random.
    """

    baseline: float
    other: float
    users: int
    runs: int
    seed: int
    region_wins: float
    region_losses: float
    random_wins: float
    random_losses: float


def simulate_region_split(
    baseline: float = 0.10, other: float = 0.11, users: int | None = None, runs: int = RUNS
) -> RegionSplit:
    """How often a split by region finds an effect where there is none. `users` an arm: None for a plan with 80 % power.

    Raises InputError for shares outside 0 to 1.
    """
    if not (0 < baseline < 1 and 0 < other < 1) or baseline == other:
        raise InputError("the shares of both regions must be between 0 and 1, and differ")
    if users is None:
        low, gap = min(baseline, other), abs(other - baseline)
        users = make_plan(metric="any x", baseline=low, effect=gap, looks=1).users_control
    rng = np.random.default_rng(SEED)
    by_region = [rng.binomial(users, share, runs) for share in (baseline, other)]
    half = users // 2
    first, second = (rng.binomial(half, baseline, runs) + rng.binomial(users - half, other, runs) for _ in range(2))
    wins, losses = _decide(by_region[0], by_region[1], users)
    drawn_wins, drawn_losses = _decide(first, second, users)
    return RegionSplit(baseline, other, users, runs, SEED, wins, losses, drawn_wins, drawn_losses)


def _decide(control: Array, treatment: Array, users: int) -> tuple[float, float]:
    shares = control / users, treatment / users
    error = np.sqrt(np.maximum(sum(share * (1 - share) for share in shares), 1e-12) / users)
    z = (shares[1] - shares[0]) / error
    return float((z > 1.959964).mean()), float((z < -1.959964).mean())
