"""What calibrating and quantizing tell of what they did."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass
from edgeship.types import ToolReport


@dataclass(frozen=True, kw_only=True)
class CalibrationReport(ToolReport):
    """Of how many `samples` of the `data` (its digest) the ranges of how many `tensors` were observed."""

    samples: int
    data: str
    tensors: int


@dataclass(frozen=True, kw_only=True)
class QuantizationReport(ToolReport):
    """What stayed float, by name: operators (`float_islands`) of a full-integer file, and constants of 1 KiB or more.

    `io` is the element type of the file's float inputs and outputs.
    """

    float_islands: tuple[str, ...]
    float_weights: tuple[str, ...]
    io: str = "float32"
