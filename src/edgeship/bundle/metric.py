"""A figure with its unit and kind, and the numbers that figures are made of: their bounds stand in the types.

A manifest may be a stranger's. A value that could not be had has an availability and a reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Annotated

from msgspec import Meta

from edgeship.light_dataclass import dataclass
from edgeship.types import Availability, Kind, check_type

LARGEST = 1e300  # of figures: larger ones are infinite in percent, which no JSON holds
DIGEST = r"^[0-9A-Za-z]{64}$"
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Figure = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Number  # 44949504 bytes are not 44949504.0
Digest = Annotated[str, Meta(pattern=DIGEST)]


@dataclass(frozen=True)
class Metric:
    """One figure with its unit and kind; a missing value has an availability that says in a word why, and a reason."""

    name: str
    value: Figure | None
    unit: str
    kind: Kind = Kind.MEASURED
    availability: Availability = Availability.AVAILABLE
    reason: str = ""

    def __post_init__(self) -> None:
        for name, text in (("name", self.name), ("unit", self.unit), ("reason", self.reason)):
            check_type(f"a metric's {name}", text, str)
        check_type(self.name, self.value, Real, type(None))
        if self.value is None and not self.reason:
            raise ValueError(f"{self.name}: a missing value needs a reason")
        if (self.value is None) == (self.availability is Availability.AVAILABLE):
            raise ValueError(f"{self.name}: {self.availability} does not fit the value {self.value}")


def missing_metrics(units: Mapping[str, str], availability: Availability, reason: str) -> list[Metric]:
    """The metrics of a figure that could not be taken, by name with their units."""
    return [Metric(name, None, unit, availability=availability, reason=reason) for name, unit in units.items()]


def number_text(value: float) -> str:
    """A figure in its own unit to four digits; what is large as people write it, 17,620 and not 1.762e+04."""
    rounded = float(f"{value:.4g}")
    return f"{rounded:,.0f}" if 1e4 <= abs(rounded) < 1e12 else f"{rounded:.4g}"


def number_texts(*values: float, digits: int = 4, sign: str = "") -> list[str]:
    """Figures of one unit with as many decimals as the largest of them needs to have `digits`: 0.0006 beside 367 is 0.

    `sign`: "+" shows it for positive ones, too.
    """
    largest = max(map(abs, values), default=0.0)
    if not 1e-4 <= largest < 1e12:
        return [f"{value + 0.0:{sign}.{digits}g}" for value in values]
    exponent = math.floor(math.log10(largest))
    decimals = max(0, digits - 1 - exponent)
    steps = min(digits - 1 - exponent, decimals)
    rounded = [round(value, steps) + 0.0 for value in values]
    return [f"{value:{sign},.{decimals if value else 0}f}" for value in rounded]
