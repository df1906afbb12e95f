"""What a type allows to be absent and a test expects to be there."""

from __future__ import annotations

from typing import TypeVar

from edgeship.bundle.figures.measurement import Measurement

T = TypeVar("T")


def present(value: T | None) -> T:
    """`value`, which must not be None."""
    assert value is not None
    return value


def metric_value(measurement: Measurement, name: str) -> float:
    """The value of the metric `name`, which must be known."""
    return present(present(measurement.metric(name)).value)
