"""What an artifact computes with, as real numbers: its constants and its operators, from any format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Constant:
    """A constant: the real numbers that it stands for, and how far apart its stored values are (`step`, broadcasts).

    `codes` are the whole numbers that quantized values are stored as, of so many `bits`; None for plain numbers. `bias`: it is
    added to sums in whole numbers far finer than the sums are known.
    """

    name: str
    values: Array
    step: Array
    codes: Array | None = None
    bits: int = 32
    bias: bool = False


@dataclass(frozen=True)
class Operator:
    """An operator and its attributes, those that are constants left out."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """All constants and operators of an artifact, in the order of the file."""

    constants: tuple[Constant, ...]
    operators: tuple[Operator, ...]


Reader = Callable[[Any], Contents]


def plain(name: str, values: Array) -> Constant:
    """A constant that is stored as the numbers that it stands for: float16 and float32 have steps, whole numbers none."""
    if values.dtype.kind == "f":
        return Constant(name, values.astype(np.float64), np.spacing(np.abs(values)).astype(np.float64))
    return Constant(name, values.astype(np.float64), np.zeros(()))


def affine(name: str, codes: Array, scale: Array, zero: Array, axis: int | None, bits: int) -> Constant:
    """A quantized constant, (codes - zero) * scale; one scale, or one for each place along `axis`."""
    scale = _along(np.asarray(scale, np.float64), axis, codes.ndim)
    point = _along(np.asarray(zero, np.int64), axis, codes.ndim)
    values = (codes.astype(np.int64) - point) * scale
    return Constant(name, values, np.abs(scale), codes, bits, bias=bits == 32)


def _along(numbers: Array, axis: int | None, axes: int) -> Array:
    if numbers.size == 1 or axis is None:
        return numbers.reshape(-1)[:1].reshape(())
    return numbers.reshape([-1 if index == axis else 1 for index in range(axes)])
