"""Which layers to leave in higher precision: greedy by sensitivity, then layers are taken back.

Knows no model: `quick` and `confirm` say whether the gate passes with a set of layers kept in higher precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HighPrecisionLayers = tuple[int, ...]


@dataclass(frozen=True)
class SearchStep:
    """One set that was tried: what was done to get there, and whether the gate passed with it."""

    done: str  # "plain", "all", "keep" or "take back"
    layer: int | None
    kept: HighPrecisionLayers
    passed: bool


@dataclass
class SearchResult:
    """The layers to keep in higher precision, or None and the reason; and every step of the way."""

    kept: HighPrecisionLayers | None = None
    reason: str = ""
    steps: list[SearchStep] = field(default_factory=list)


def search(
    order: Sequence[int],
    costs: Sequence[float],
    quick: Callable[[HighPrecisionLayers], bool],
    confirm: Callable[[HighPrecisionLayers], bool],
    most: int,
) -> SearchResult:
    """The fewest layers that must be kept in higher precision, as far as a greedy search finds them.

    `order` holds the layers, the most sensitive first; at most `most` of them are kept, one after the other, until the gate
    passes. One may help only together with its neighbour, with which it shares a tensor: so they are added by what each does
    alone. Then each is taken back if the gate passes without it, the dearest by `costs` first. `quick` only saves `confirm`.
    """
    found = SearchResult()

    def passes(done: str, layer: int | None, kept: HighPrecisionLayers) -> bool:
        # A first look at the plain model and at the best that can be had costs little and tells the user most.
        passed = (done in ("plain", "all") or quick(kept)) and confirm(kept)
        found.steps.append(SearchStep(done, layer, kept, passed))
        return passed

    if passes("plain", None, ()):
        found.kept = ()
        return found
    if not passes("all", None, tuple(sorted(order))):
        found.reason = "the gate does not pass with every layer in higher precision either"
        return found
    tried = (list(order[: count + 1]) for count in range(min(most, len(order))))
    kept = next((layers for layers in tried if passes("keep", layers[-1], tuple(sorted(layers)))), None)
    if kept is None:
        found.reason = f"the gate does not pass with the {most} most sensitive layers in higher precision"
        return found
    # Without the last one it did not pass, and would still less with fewer.
    for layer in sorted(kept[:-1], key=lambda item: -costs[item]):
        fewer = [item for item in kept if item != layer]
        if passes("take back", layer, tuple(sorted(fewer))):
            kept = fewer
    found.kept = tuple(sorted(kept))
    return found
