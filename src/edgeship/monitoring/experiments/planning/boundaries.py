"""Boundaries for several looks at one experiment, and what they do: group-sequential tests by numerical integration.

The z-value of a difference that grows with the data is a Brownian motion with a drift: between two looks, at the shares t and
t' of the planned information, it gains a normal step with the variance t' - t and the mean drift * (t' - t). Its density on
the paths that no look has stopped is carried from look to look on Gauss-Legendre nodes (Armitage, McPherson and Rowe 1969, J.
of the Royal Statistical Society A 132:235; Jennison and Turnbull 2000, Group Sequential Methods, chapter 19).

Alpha is spent as Lan and DeMets 1983 (Biometrika 70:659) do it to come close to O'Brien and Fleming 1979: it depends on the
information that a look has, and not on how many looks follow, so that looks may fall early, late, or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
FARTHEST = 8.0  # a boundary beyond it is never reached; ldbounds and gsDesign stop there or near
PLACES, WEIGHTS = np.polynomial.legendre.leggauss(
    8
)  # of a panel, which is at most as wide as this many standard deviations
PANEL, FEWEST_PANELS, MOST_PANELS = 1.5, 8, 250
MOST_DRIFT = 30.0  # in standard errors at full information


@dataclass(frozen=True)
class Crossing:
    """For each look the probability that the experiment stops there above, and below."""

    above: tuple[float, ...]
    below: tuple[float, ...]


@dataclass(frozen=True)
class _Paths:
    """The paths that no look has stopped up to a share of the information: probability `masses` at places `nodes`."""

    fraction: float
    nodes: Array
    masses: Array

    def exceed(self, fraction: float, z: float, drift: float) -> float:
        """The probability of a z-value of at least `z` at a later look."""
        step = fraction - self.fraction
        gap = z * math.sqrt(fraction) - self.nodes - drift * step
        return float(self.masses @ ndtr(-gap / math.sqrt(step)))

    def go_on(self, fraction: float, bound: float, drift: float, following: float) -> _Paths:
        """The paths that a later look does not stop either; `following`: the look after that."""
        step, edge = fraction - self.fraction, bound * math.sqrt(fraction)
        finest = math.sqrt(min(step, following - fraction))
        panels = min(max(math.ceil(2 * edge / (PANEL * finest)), FEWEST_PANELS), MOST_PANELS)
        half = edge / panels
        middles = half * (2 * np.arange(panels) + 1) - edge
        nodes = (middles[:, None] + half * PLACES).ravel()
        gaps = (nodes[:, None] - self.nodes[None] - drift * step) / math.sqrt(step)
        density = np.exp(-0.5 * gaps * gaps) @ self.masses / math.sqrt(2 * math.pi * step)
        return _Paths(fraction, nodes, half * np.tile(WEIGHTS, panels) * density)


def spend_alpha(fraction: float, alpha: float) -> float:
    """How much of the two-sided `alpha` is spent at a share of the planned information, in [0, 1]; all of it from 1 on.

    Each side spends 2 - 2 * Phi(z / sqrt(t)), with z the upper alpha / 4 point (Lan and DeMets 1983, their first function).
    """
    if fraction >= 1:
        return alpha
    return 4 * float(ndtr(ndtri(alpha / 4) / math.sqrt(fraction)))


def find_boundaries(fractions: Sequence[float], alpha: float) -> tuple[float, ...]:
    """For looks at these shares of the planned information, the |z| at and beyond which an experiment stops.

    Raises ValueError where the shares are not positive and rising.
    """
    paths, spent = _begin(fractions), 0.0
    bounds: list[float] = []
    for fraction, following in _with_next(fractions):
        total = spend_alpha(fraction, alpha)
        share, spent = (total - spent) / 2, total
        bounds.append(_find_bound(paths, fraction, share))
        if following is not None:
            paths = paths.go_on(fraction, bounds[-1], 0.0, following)
    return tuple(bounds)


def find_crossing(fractions: Sequence[float], bounds: Sequence[float], drift: float = 0.0) -> Crossing:
    """Where experiments stop whose z-value at full information is `drift` on average."""
    paths = _begin(fractions)
    above, below = [], []
    for (fraction, following), bound in zip(_with_next(fractions), bounds, strict=True):
        above.append(paths.exceed(fraction, bound, drift))
        below.append(max(float(paths.masses.sum()) - paths.exceed(fraction, -bound, drift), 0.0))
        if following is not None:
            paths = paths.go_on(fraction, bound, drift, following)
    return Crossing(tuple(above), tuple(below))


def find_drift(fractions: Sequence[float], bounds: Sequence[float], power: float) -> float:
    """The drift with which an experiment stops above with a probability of `power`, in (alpha, 1)."""
    return _solve(lambda drift: sum(find_crossing(fractions, bounds, drift).above) - power)


def exceeding_probability(fractions: Sequence[float], bounds: Sequence[float], z: float, drift: float) -> float:
    """How probable is what is at least as good as a stop at the last of these looks with that z-value.

    A stop above counts as the better the earlier it falls (stage-wise ordering: Tsiatis, Rosner and Mehta 1984, Biometrics
    40:797). Grows with the drift. `bounds`: of the looks before the last; one more is not looked at.
    """
    paths, total = _begin(fractions), 0.0
    for fraction, bound, following in zip(fractions[:-1], bounds, fractions[1:], strict=False):
        total += paths.exceed(fraction, bound, drift)
        paths = paths.go_on(fraction, bound, drift, following)
    return total + paths.exceed(fractions[-1], z, drift)


def find_drift_of(fractions: Sequence[float], bounds: Sequence[float], z: float, probability: float) -> float:
    """The drift with which `exceeding_probability` is that: 0.5 gives the estimate that is too high as often as too low."""
    return _solve(lambda drift: exceeding_probability(fractions, bounds, z, drift) - probability)


def _begin(fractions: Sequence[float]) -> _Paths:
    steps = np.diff([0.0, *fractions])
    if not len(steps) or not (steps > 0).all():
        raise ValueError(f"looks at {fractions} of the information do not rise from 0")
    return _Paths(0.0, np.zeros(1), np.ones(1))


def _with_next(fractions: Sequence[float]) -> zip[tuple[float, float | None]]:
    return zip(fractions, (*fractions[1:], None), strict=True)


def _find_bound(paths: _Paths, fraction: float, share: float) -> float:
    if share <= 0 or paths.exceed(fraction, FARTHEST, 0.0) >= share:
        return FARTHEST
    return float(brentq(lambda z: paths.exceed(fraction, z, 0.0) - share, 0.0, FARTHEST, xtol=1e-10))


def _solve(excess: Callable[[float], float]) -> float:
    if excess(-MOST_DRIFT) >= 0 or excess(MOST_DRIFT) <= 0:
        return MOST_DRIFT if excess(MOST_DRIFT) <= 0 else -MOST_DRIFT
    return float(brentq(excess, -MOST_DRIFT, MOST_DRIFT, xtol=1e-8))
