"""Which histograms moved: a permutation test over installations of the largest of their distances."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.installs import ACCEPTED, CORRECTED, Installs
from edgeship.monitoring.drift.layout import Histogram, Layout

Array = np.ndarray[Any, Any]
SEED = 20261129
DRAWS, MORE_DRAWS = 499, 1999  # permutations; more where the first ones do not settle it
UNSETTLED = 0.05  # p up to which they do not
MOST_INSTALLS = 20_000  # of either side that are tested, drawn at random: more find what is of no use
OUTCOMES = (f"outcome {CORRECTED}", f"outcome {ACCEPTED}")
INFERENCES = "inferences"  # the second bin of an event's histogram
BLOCK = 1 << 23  # numbers of permutations at once


@dataclass(frozen=True)
class Move:
    """A histogram between the baseline and a week: p, adjusted for all histograms, and the total variation distance (0 to 1).

    `bin`: the one whose share changed most, from `before` to `now`. Of an event these are how often it was for an inference.
    """

    name: str
    p: float
    distance: float
    bin: str
    before: float
    now: float


def find_moves(before: Installs, now: Installs, layout: Layout, draws: int = MORE_DRAWS) -> tuple[Move, ...]:
    """All histograms that have counts, the surest first; the smallest p is that of the test of all together.

    The statistic of a histogram is the cube root of Pearson's chi-square of the two samples' counts, near normal whatever the
    number of bins (Wilson and Hilferty 1931), less its mean and over its deviation under permutations of whole installations:
    users differ, so that counts are no independent draws. What is tested is the largest (Westfall and Young 1993, single step):
    exact where installations of both are exchangeable. `draws`: of permutations, where the first 499 give a p of at most 5 %.
    """
    names, sides = _event_histograms(before, now, layout.width)
    histograms = [*layout.histograms, *names]
    rng = np.random.default_rng(SEED)
    first, second = (_sample(side, rng) for side in sides)
    rows = np.concatenate([second, first])
    observed = np.r_[np.ones(len(second)), np.zeros(len(first))]
    used = [item for item in histograms if rows[:, item.start : item.stop].any()]
    if not used or not len(first) or not len(second):
        return ()
    columns = np.concatenate([np.arange(item.start, item.stop) for item in used])
    starts = np.cumsum([0, *(item.stop - item.start for item in used)])[:-1]
    chosen = np.ascontiguousarray(rows[:, columns], dtype=np.float32)
    p = _p_values(chosen, observed, starts, min(DRAWS, draws), rng)
    if p.min() <= UNSETTLED and draws > DRAWS:
        p = _p_values(chosen, observed, starts, draws, rng)
    found = [
        _describe(item, float(value), sides[0].sum(axis=0), sides[1].sum(axis=0))
        for item, value in zip(used, p, strict=True)
    ]
    return tuple(sorted(found, key=lambda move: (move.p, -move.distance)))


def _event_histograms(before: Installs, now: Installs, width: int) -> tuple[list[Histogram], tuple[Array, Array]]:
    """Errors, fallbacks, switches and outcomes as histograms of two bins, behind the columns (N, width) of both sides."""
    pairs = {name: (name, "") for name in {*before.events, *now.events}}
    if all(side.event(name).any() for side in (before, now) for name in OUTCOMES):
        pairs["corrected of outcomes"] = OUTCOMES
    kept = {
        name: pairs[name]
        for name in sorted(pairs)
        if before.event(pairs[name][0]).any() or now.event(pairs[name][0]).any()
    }
    added = [
        Histogram(name, width + 2 * number, width + 2 * number + 2, (name, other or INFERENCES))
        for number, (name, (_, other)) in enumerate(kept.items())
    ]
    first, second = (
        np.column_stack(
            [
                side.counts,
                *(
                    part
                    for name, other in kept.values()
                    for part in (side.event(name), side.event(other) if other else side.inferences)
                ),
            ]
        )
        for side in (before, now)
    )
    return added, (first, second)


def _sample(rows: Array, rng: np.random.Generator) -> Array:
    return rows if len(rows) <= MOST_INSTALLS else rows[rng.choice(len(rows), MOST_INSTALLS, replace=False)]


def _p_values(rows: Array, observed: Array, starts: Array, draws: int, rng: np.random.Generator) -> Array:
    """Adjusted p-values (H,) of histograms that begin at columns `starts` of rows (N, W); `observed` (N,): 1 in the week."""
    size, count = int(observed.sum()), len(rows)
    total = rows.sum(axis=0, dtype=np.float64)
    found = [_chi_squares(observed[None].astype(np.float32) @ rows, total, starts)]
    step = max(1, BLOCK // count)
    for begin in range(0, draws, step):
        number = min(step, draws - begin)
        # The `size` least of random numbers; that the next one equals the last of them happens once in a million draws.
        drawn = rng.integers(0, 2**32, (number, count), dtype=np.uint32)
        labels = (drawn <= np.partition(drawn, size - 1, axis=1)[:, size - 1 : size]).astype(np.float32)
        found.append(_chi_squares(labels @ rows, total, starts))
    values = np.cbrt(np.concatenate(found))
    spread = values.std(axis=0)
    scores = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    largest = scores.max(axis=1)
    return np.asarray((largest[:, None] >= scores[0] - 1e-6).mean(axis=0))


def _chi_squares(sums: Array, total: Array, starts: Array) -> Array:
    """Chi-squares (B, H) of two samples of which one has the counts (B, W) and both together `total` (W,).

    With t of T counts in a bin, s of them among the n of the sample: sum (s - n t/T)^2 T^2 / (t n (T - n)).
    """
    sums = sums.astype(np.float64)
    lengths = np.diff([*starts, len(total)])
    whole = np.repeat(np.add.reduceat(total, starts), lengths)
    part = np.add.reduceat(sums, starts, axis=1)
    inside = np.repeat(part, lengths, axis=1)
    scale = total * inside * (whole - inside)
    distance = (sums - inside * total / whole) ** 2 * whole**2
    return np.add.reduceat(np.divide(distance, scale, out=np.zeros_like(scale), where=scale > 0), starts, axis=1)


def _describe(item: Histogram, p: float, before: Array, now: Array) -> Move:
    first, second = before[item.start : item.stop], now[item.start : item.stop]
    if item.bins[-1] in (INFERENCES, OUTCOMES[1]):
        of_all = item.bins[-1] == INFERENCES
        rates = [float(counts[0] / max(counts[1] + (not of_all) * counts[0], 1.0)) for counts in (first, second)]
        return Move(item.name, p, abs(rates[1] - rates[0]), "all" if of_all else "told", rates[0], rates[1])
    first, second = _shares(first), _shares(second)
    largest = int(np.abs(second - first).argmax())
    distance = float(np.abs(second - first).sum() / 2)
    return Move(item.name, p, distance, item.bins[largest], float(first[largest]), float(second[largest]))


def _shares(counts: Array) -> Array:
    return np.asarray(counts / max(counts.sum(), 1e-12))
