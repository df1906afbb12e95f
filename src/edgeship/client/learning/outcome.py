"""How a head is learned, and what came of it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LearnSettings:
    """How a head is learned from corrected samples.

    `rate`: the learning rate; None: the one that suits the features, of the bundle. `passes` over the corrected samples, at least
    `fewest_steps` and at most `most_steps` steps in all. `limit`: how far the share of right answers may fall, on the guard
    samples of the bundle and on the corrected samples that are held out, before the old head stays; one sample may always.
    """

    rate: float | None = None
    passes: int = 40
    fewest_steps: int = 100
    most_steps: int = 2000
    limit: float = 0.02


@dataclass(frozen=True)
class LearnResult:
    """What came of learning: whether the new head was `kept`, or the `reason` why the old one stays.

    `share`: how far it went from the shipped head to the new one, where all of the way was too far.
    `samples` are the corrected ones, `held_out` of them were not trained with. Qualities are shares of right answers (of a
    `linear` head: 1 - squared error / variance), of the head that was there before and of the new one: `corrected_*` of the
    samples trained with, `held_out_*` of those held out (None where there are none), `guard_*` of the bundle's own, where
    `guard_before` is the shipped head's. `loss_*`: mean loss of what was trained with,
    corrected and replayed samples half and half, of the shipped head and of the new one (None where that is no finite number).
    """

    kept: bool
    reason: str
    samples: int
    held_out: int
    steps: int
    rate: float
    loss_before: float
    loss_after: float | None
    corrected_before: float
    corrected_after: float
    guard_before: float
    guard_after: float
    held_out_before: float | None = None
    held_out_after: float | None = None
    share: float = 1.0
