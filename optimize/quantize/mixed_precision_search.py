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
    result = SearchResult()

    def try_layers(action: str, layer: int | None, high_precision: HighPrecisionLayers) -> bool:
        # A first look at the plain model and at the best that can be had costs little and tells the user most.
        gate_passes = (action in ("plain", "all") or quick(high_precision)) and confirm(high_precision)
        result.steps.append(SearchStep(action, layer, high_precision, gate_passes))
        return gate_passes

    if try_layers("plain", None, ()):
        result.kept = ()
        return result
    if not try_layers("all", None, tuple(sorted(order))):
        result.reason = "the gate does not pass with every layer in higher precision either"
        return result
    candidates = (list(order[: count + 1]) for count in range(min(most, len(order))))
    fewest = next((layers for layers in candidates if try_layers("keep", layers[-1], tuple(sorted(layers)))), None)
    if fewest is None:
        result.reason = f"the gate does not pass with the {most} most sensitive layers in higher precision"
        return result
    # Without the last one it did not pass, and would still less with fewer.
    for layer in sorted(fewest[:-1], key=lambda item: -costs[item]):
        fewer = [item for item in fewest if item != layer]
        if try_layers("take back", layer, tuple(sorted(fewer))):
            fewest = fewer
    result.kept = tuple(sorted(fewest))
    return result
