"""What `quantize = "auto"` decided: the recipe of a step as a manifest holds it, where recipes are JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec

from edgeship.bundle.metric import Count, Number
from edgeship.light_dataclass import dataclass
from edgeship.types import Step, to_json

NAME = "auto"


@dataclass(frozen=True)
class MixedPrecisionStep:
    """A set of layers in higher precision that was tried: what was `done` to get to it, and whether the gate passed with it.

    `layer` is the one that was kept higher or taken back, `kept` how many were higher. `bytes` and `latency_ratio` (to plain
    int8, with its 95 % interval) are the file's; None where it does not run, or for `latency_reason`. `taken`: int16 was taken
    instead of float32; None of a step that was not about that. `reason`: why it was not good enough, also of one that just
    passes; `undecided`: there are too few samples for a PASS, and nothing fails.
    """

    done: str
    layer: str | None
    kept: Count
    passed: bool
    reason: str = ""
    bytes: Count | None = None
    latency_ratio: Number | None = None
    latency_reason: str = ""
    latency_interval: tuple[Number, Number] | None = None
    taken: bool | None = None
    undecided: bool = False

    @property
    def verdict(self) -> str:
        """What the gate made of it, in words."""
        if self.passed:
            return "passes, with too little room for other samples" if self.reason else "passes"
        return "is undecided" if self.undecided else "does not pass"

    @property
    def action(self) -> str:
        """What was done, with the layer."""
        return f"{self.done} {self.layer or ''}".strip()


@dataclass(frozen=True)
class MixedPrecisionRecipe:
    """The `layers` in higher `precision` ("float32", or "int16" activations), `of` how many, and the steps of the search."""

    precision: str
    layers: tuple[str, ...]
    of: Count
    steps: tuple[MixedPrecisionStep, ...] = ()

    @classmethod
    def parse(cls, recipe: Mapping[str, Any]) -> Self:
        """The recipe of a step. Raises msgspec.ValidationError where it is none."""
        return msgspec.convert(recipe, cls)

    def record(self, io: str) -> dict[str, Any]:
        """The recipe as a step records it; `io` is the element type of the artifact's inputs and outputs."""
        steps = [
            {key: value for key, value in to_json(step).items() if key != "taken" or value is not None}
            for step in self.steps
        ]
        return {"recipe": NAME, "io": io, **to_json(self), "steps": steps}


def kept_layers(steps: Sequence[Step]) -> frozenset[str]:
    """The layers that the last of an artifact's steps left in higher precision, by its own account: none but with `auto`."""
    layers = steps[-1].recipe.get("layers") if steps and steps[-1].recipe.get("recipe") == NAME else None
    return frozenset(map(str, layers)) if isinstance(layers, (list, tuple)) else frozenset()
