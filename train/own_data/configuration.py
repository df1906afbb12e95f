"""What a training may choose: the size of the network, and how it is fitted; with what is usual, and what tuning tries."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class NetworkSize:
    """A network of `depth` layers (blocks of a convolution), each `width` times as wide as usual; `dropout`: the share left out.

    `bins`: a table's numbers also go in by how far they are through so many intervals; 0 for none.
    """

    width: float
    depth: int
    dropout: float
    bins: int = 0


@dataclass(frozen=True)
class SizeRange:
    """The `usual` size of a kind of network, and the least and the most that tuning tries of each."""

    usual: NetworkSize
    widths: tuple[float, float]
    depths: tuple[int, int]
    dropouts: tuple[float, float]
    bins: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Plan:
    """AdamW; the learning rate rises to `peak` over a tenth of all steps, then falls to 0 along a cosine."""

    epochs: int
    batch: int
    peak: float = 2e-3
    warmup: float = 0.1
    weight_decay: float = 1e-4


@dataclass(frozen=True)
class Configuration:
    """All that is chosen before a training."""

    size: NetworkSize
    plan: Plan
