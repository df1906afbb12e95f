"""Which layers to leave in higher precision: greedy by sensitivity, then layers are taken back.

Knows no model: `quick` and `confirm` say whether the gate passes with a set of layers kept in higher precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field

from edgeship.light_dataclass import dataclass

HighPrecisionLayers = tuple[int, ...]


@dataclass(frozen=True)
class SearchStep:
    """One set that was tried: what was done to get there, and whether the gate passed with it."""

    done: str  # "plain", "all", "guess", "keep" or "take back"
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
    layers: Sequence[int],
    order: Callable[[], Sequence[int]],
    costs: Sequence[float],
    quick: Callable[[HighPrecisionLayers], bool],
    confirm: Callable[[HighPrecisionLayers], bool],
    guesses: Sequence[HighPrecisionLayers] = (),
) -> SearchResult:
    """The fewest layers that must be kept in higher precision, as far as a greedy search finds them.

    `layers` are those that are int8 in the plain model, `order` ranks them, the most sensitive first (asked only where it is
    needed). `guesses` are tried first; else at most `most_layers` are kept, one after the other, until the gate passes. One may
    help only together with its neighbour, with which it shares a tensor: so they are added by what each does alone. Then each is
    taken back if the gate passes without it, the dearest by `costs` first. `quick` only saves `confirm`.
    """
    result = SearchResult()

    def try_layers(action: str, layer: int | None, high_precision: HighPrecisionLayers) -> bool:
        # A first look at the plain model and at the best that can be had costs little and tells the user most.
        gate_passes = (action in ("plain", "all", "guess") or quick(high_precision)) and confirm(high_precision)
        result.steps.append(SearchStep(action, layer, high_precision, gate_passes))
        return gate_passes

    if try_layers("plain", None, ()):
        result.kept = ()
        return result
    most = most_layers(len(layers))
    fewest = next((guess for guess in guesses if 0 < len(guess) <= most and try_layers("guess", None, guess)), None)
    needed = set[int]()
    if fewest is None and not try_layers("all", None, tuple(sorted(layers))):
        result.reason = "the gate does not pass with every layer in higher precision either"
        return result
    if fewest is None:
        ranked = order()
        candidates = (tuple(sorted(ranked[: count + 1])) for count in range(most))
        fewest = next((kept for kept in candidates if try_layers("keep", ranked[len(kept) - 1], kept)), None)
        # Without the last one it did not pass, and would still less with fewer.
        needed = set() if fewest is None else {ranked[len(fewest) - 1]}
    if fewest is None:
        result.reason = f"the gate does not pass with the {most} most sensitive layers in higher precision"
        return result
    for layer in sorted({*fewest} - needed, key=lambda item: -costs[item]):
        fewer = tuple(item for item in fewest if item != layer)
        if fewer and try_layers("take back", layer, fewer):
            fewest = fewer
    result.kept = fewest
    return result


def most_layers(count: int) -> int:
    """How many of so many layers may be kept: with more than half (rounded up), or all, a model is no int8 model any more."""
    return max(0, min((count + 1) // 2, count - 1))
