"""Which Keras layers a node or tensor of a converted graph came from, told from its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SUFFIXES = ("", "_1", "_2", "_3")


class LayerNames:
    """Resolves names like `model_1/conv_1/Relu;model_1/conv_1/convolution`, where `;` joins what was fused.

    Keras gives a scope that it meets again in the same trace a number, so that in an export layer `conv2d` may stand as
    `conv2d_1` and layer `conv2d_1` as `conv2d_1_1`. Which number the whole trace has is told from all of its names.
    """

    def __init__(self, layers: Sequence[str], names: Iterable[str]) -> None:
        self.known = set(layers)
        parts = {part for name in names for piece in name.split(";") for part in _scope(piece)}

        def explained(suffix: str) -> int:
            return sum(part.endswith(suffix) and part.removesuffix(suffix) in self.known for part in parts)

        self._suffix = max(_SUFFIXES, key=explained)

    def layers_of(self, name: str) -> tuple[str, ...]:
        """The layers behind a name, each with the known layers around it (`encoder/conv`); empty where there is none."""
        found = dict.fromkeys(self._path(piece) for piece in name.split(";"))
        return tuple(path for path in found if path)

    def _path(self, piece: str) -> str:
        return "/".join(layer for part in _scope(piece) if (layer := self._layer(part)))

    def _layer(self, part: str) -> str:
        if part.endswith(self._suffix) and part.removesuffix(self._suffix) in self.known:
            return part.removesuffix(self._suffix)
        shorter = part
        while match := re.fullmatch(r"(.+)_\d+", shorter):
            shorter = match[1]
            if shorter in self.known:  # met more than once: a shared layer
                return shorter
        return part if part in self.known else ""


def _scope(piece: str) -> list[str]:
    """The parts of a name without its last, which is the operation's own and may be called like any layer."""
    return piece.split("/")[:-1]


def scope(name: str) -> str:
    """The innermost scope that a name tells: what stands for a layer where none is known; empty where it has none."""
    return max(("/".join(_scope(piece)) for piece in name.split(";")), key=len)
