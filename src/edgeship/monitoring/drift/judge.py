"""The verdict on a week beside the field's own first weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.statistics import Z95, holm_p_values
from edgeship.monitoring.drift.accuracy import LEAST, LEVEL, Drop, find_drop, find_rate
from edgeship.monitoring.drift.installs import ACCEPTED, CORRECTED, Installs, cap_installs, find_cap
from edgeship.monitoring.drift.layout import Layout
from edgeship.monitoring.drift.moves import MORE_DRAWS, Move, find_moves
from edgeship.monitoring.drift.results import DriftVerdict, Judgement, OutcomeRate, SliceResult

Array = np.ndarray[Any, Any]
TOLERANCE = 0.01  # of accuracy
MOVED, SLICE_MOVED = 0.01, 0.002  # of notices that are wrong: 1.2 % of weeks in all
SURE = 0.001  # of alarms by slices, and by outcomes, that are wrong
LEAST_SLICE, MOST_SLICES, MOST_SLICES_TOLD = 50, 20, 3
DRAWS_FOR_SLICE = 1000  # permutations for each slice, so that Holm's correction can still find one
WORST: tuple[DriftVerdict, ...] = ("OK", "INCONCLUSIVE", "NOTICE", "ALARM")


def judge_week(
    before: Installs, now: Installs, layout: Layout, *, tolerance: float = TOLERANCE, estimates: bool = True
) -> Judgement:
    """The verdict on the installations of a week; `before`: those of the baseline. `estimates`: whether labels calibrate them.

    NOTICE: something moved. ALARM: the estimated accuracy, or the share of accepted outcomes, surely fell by more than
    `tolerance` (a share), of all or of a slice. OK: nothing moved, and the estimate surely fell by less. Else INCONCLUSIVE.
    """
    cap = find_cap(before)
    first, second = cap_installs(before, cap), cap_installs(now, cap)
    if len(now) < LEAST:
        reason = f"{len(now):,} installations reported; {LEAST - len(now):,} more would allow a comparison"
        return Judgement("INCONCLUSIVE", (reason,), (), (), None, None, (), ())
    histograms = find_moves(first, second, layout)
    moved = tuple(move for move in histograms if move.p <= MOVED)
    drop = _drop_of(first, second, tolerance) if estimates else None
    accepted = _accepted_drop(first, second, tolerance)
    slices = _judge_slices(first, second, layout, tolerance, estimates=estimates)
    verdict, reasons = _decide(moved, drop, accepted, slices, tolerance, estimates=estimates)
    return Judgement(verdict, reasons, moved, histograms, drop, accepted, _outcome_rates(first, second), slices)


def _drop_of(before: Installs, now: Installs, tolerance: float) -> Drop | None:
    return find_drop(find_rate(before.right, before.inferences), find_rate(now.right, now.inferences), tolerance)


def _accepted_drop(before: Installs, now: Installs, tolerance: float) -> Drop | None:
    """The drop of accepted among accepted and corrected outcomes; None where a side tells only of one of them, or of few."""
    pairs = [[side.event(f"outcome {name}") for name in (ACCEPTED, CORRECTED)] for side in (before, now)]
    if not all(counts.any() for pair in pairs for counts in pair):
        return None
    first, second = (find_rate(accepted, accepted + corrected) for accepted, corrected in pairs)
    return find_drop(first, second, tolerance)


def _outcome_rates(before: Installs, now: Installs) -> tuple[OutcomeRate, ...]:
    found = []
    for name in sorted({*before.events, *now.events} - {"switches"}):
        first, second = (find_rate(side.event(name), side.inferences) for side in (before, now))
        if first is None or second is None or not (first.value or second.value):
            continue
        half = (
            Z95 * (first.variance + second.variance) ** 0.5 if min(first.installs, second.installs) >= LEAST else None
        )
        change = second.value - first.value
        ends = (None, None) if half is None else (change - half, change + half)
        found.append(OutcomeRate(name, first.value, second.value, *ends))
    return tuple(found)


def _judge_slices(
    before: Installs, now: Installs, layout: Layout, tolerance: float, *, estimates: bool
) -> tuple[SliceResult, ...]:
    parts = _find_slices(before, now)
    draws = max(MORE_DRAWS, DRAWS_FOR_SLICE * len(parts) - 1)
    found = []
    for dimension, value in parts:
        first, second = (side.take(side.slice_places(dimension, value)) for side in (before, now))
        drop = _drop_of(first, second, tolerance) if estimates else None
        moves = find_moves(first, second, layout, draws)
        p = moves[0].p if moves else 1.0
        found.append(
            SliceResult(dimension, value, len(second), len(first), p, drop.p if drop else None, moves, drop, "OK")
        )
    return _correct_slices(found)


def _find_slices(before: Installs, now: Installs) -> list[tuple[str, str]]:
    """Dimensions and values with 50 installations on both sides that are not all of them; the 20 largest."""
    sizes = {}
    for dimension, values in now.slices.items():
        for value in sorted({*values} - {""}):
            first, second = (len(side.slice_places(dimension, value)) for side in (before, now))
            if min(first, second) >= LEAST_SLICE and (first < len(before) or second < len(now)):
                sizes[dimension, value] = second
    return sorted(sizes, key=lambda item: (-sizes[item], item))[:MOST_SLICES]


def _correct_slices(slices: Sequence[SliceResult]) -> tuple[SliceResult, ...]:
    """With p-values for testing them all, and their verdicts."""
    of_moves = holm_p_values([item.p_moved for item in slices])
    of_drops = holm_p_values([1.0 if item.p_drop is None else item.p_drop for item in slices])
    found = []
    for item, p_moved, p_drop in zip(slices, of_moves, of_drops, strict=True):
        verdict: DriftVerdict = "ALARM" if p_drop <= SURE else "NOTICE" if p_moved <= SLICE_MOVED else "OK"
        moved = tuple(move for move in item.moved if p_moved <= SLICE_MOVED and move.p <= MOVED)
        corrected = None if item.p_drop is None else p_drop
        found.append(replace(item, p_moved=p_moved, p_drop=corrected, moved=moved, verdict=verdict))
    return tuple(found)


def _decide(
    moved: Sequence[Move], drop: Drop | None, accepted: Drop | None, slices: Sequence[SliceResult], tolerance: float, *,
    estimates: bool,
) -> tuple[DriftVerdict, tuple[str, ...]]:  # fmt: skip
    found: list[tuple[DriftVerdict, str]] = []
    if drop and drop.low > tolerance:
        found.append(("ALARM", f"estimated accuracy {_describe_drop(drop)}, beyond {100 * tolerance:g}"))
    elif drop and drop.high >= tolerance:
        found.append(("INCONCLUSIVE", f"estimated accuracy {_describe_drop(drop)}; {_ask_for_more(drop, tolerance)}"))
    elif estimates and not drop:
        found.append(("INCONCLUSIVE", f"fewer than {LEAST} installations made inferences"))
    if accepted and accepted.p <= SURE:
        found.append(("ALARM", f"of the outcomes, accepted {_describe_drop(accepted)}, beyond {100 * tolerance:g}"))
    if moved:
        found.append(
            ("NOTICE", f"moved: {'; '.join(describe_move(move) for move in moved[:3])}{_rest(len(moved) - 3)}")
        )
    worst = sorted((item for item in slices if item.verdict != "OK"), key=lambda item: (item.verdict, item.p_moved))
    found += [(item.verdict, _describe_slice(item)) for item in worst[:MOST_SLICES_TOLD]]
    if not found:
        what = f"estimated accuracy {_describe_drop(drop)}" if drop else "accuracy is not estimated"
        found.append(("OK", f"nothing moved; {what}"))
    found.sort(key=lambda item: -WORST.index(item[0]))
    return found[0][0], tuple(text for _, text in found)


def _describe_drop(drop: Drop) -> str:
    """A drop of a share in points, as 'fell 1.24 points (98 % interval 0.80 to 1.68)'."""
    points = 100 * (drop.before - drop.now)
    word = "fell" if points >= 0 else "rose"
    low, high = (100 * drop.low, 100 * drop.high) if points >= 0 else (-100 * drop.high, -100 * drop.low)
    return f"{word} {abs(points):.2f} points ({100 - 200 * LEVEL:.0f} % interval {low:.2f} to {high:.2f})"


def _ask_for_more(drop: Drop, tolerance: float) -> str:
    question = f"whether by more than {100 * tolerance:g} is not known"
    if drop.more_installs is None:
        return f"{question}, and no number of reports would tell: the baseline is too small"
    return f"{question}; about {drop.more_installs:,} more reports in the week would tell, there are {drop.installs:,}"


def _describe_slice(item: SliceResult) -> str:
    where = f"{item.dimension} {item.value} ({item.installs:,} installations)"
    if item.verdict == "ALARM" and item.drop:
        return f"{where}: estimated accuracy {_describe_drop(item.drop)}"
    return f"{where}: moved: {describe_move(item.moved[0])}{_rest(len(item.moved) - 1)}" if item.moved else where


def describe_move(move: Move) -> str:
    """A histogram's move in words."""
    return f"{move.name} ({move.bin}: {100 * move.before:.1f} -> {100 * move.now:.1f} %, p = {move.p:.2g})"


def _rest(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
