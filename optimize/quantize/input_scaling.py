"""Operators at a model's inputs that 8 bits are too coarse for, as a `Normalization` of raw features: found before quantizing.

int8 has one scale for all features of a tensor and for all numbers of a constant. Where an income stands beside an age, or
the deviation of a feature that never changed beside others, a feature is left a step or two, and the network is as good as
blind to it. The operators up to the first dense layer (into which a converter may have folded the scaling) are computed here
on calibration data, in float and as int8 would: what int8 takes from a feature is then a number, whatever the operators are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod

import numpy as np

from edgeship.data import Array, Batch, RepresentativeDataset
from edgeship.light_dataclass import dataclass
from edgeship.optimize.quantize import calibration
from edgeship.optimize.quantize.calibration import FloatScaling
from edgeship.types import TensorSpec

# dB of a feature's variance over its error. 8 bits of a whole network leave its output 25 to 40 dB (`debug` shows it), so
# that a feature below this is what costs most: at 20 dB (a third of a deviation a step) a small network lost 0.7 points of
# 90.3, at 11 dB 3.6, and at 31 dB 0.4.
LEAST_SNR_DB = 25.0
# An app sees the type of the inputs: they become float only where the noise is more than a tenth of a feature's deviation.
LEAST_INPUT_SNR_DB = 20.0
# dB: a feature is worth float only where that gives it twice the steps. An image's dark corner has few in any case.
GAIN_DB = 6.0
LEVELS = 255
BYTES = 32 << 20  # of samples that are looked at
MOST_WEIGHTS = 1 << 20  # of a dense layer that may stay float: a larger one would be most of the file

_FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "DIV": np.divide,
    "CONCATENATION": lambda *parts: np.concatenate(parts, axis=-1),
    "CAST": lambda value: value.astype(np.float32),
    "DENSE": np.matmul,
}
KINDS = tuple(_FUNCTIONS)


@dataclass(frozen=True)
class Operator:
    """An operator by its kind (one of KINDS), the name of what it makes, and its inputs: names of tensors, or constants.

    DENSE is (..., features) @ (features, units), without its bias, which int8 takes nothing from.
    """

    kind: str
    output: str
    inputs: tuple[str | Array, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of its inputs that are no constants."""
        return tuple(name for name in self.inputs if isinstance(name, str))


def scaling_at(inputs: Sequence[str], operators: Sequence[Operator]) -> list[Operator]:
    """Of operators in the order in which they run, those at the inputs that keep features apart, and dense layers behind them.

    Features are the last axis; a constant that differs along another one ends the search, as does every other kind.
    """
    known, found = set(inputs), []
    for item in operators:
        constants = [value for value in item.inputs if not isinstance(value, str)]
        per_feature = all(value.size == (value.shape[-1] if value.ndim else 1) for value in constants)
        dense = item.kind == "DENSE" and [value.size <= MOST_WEIGHTS for value in constants] == [True]
        if item.kind in _FUNCTIONS and item.tensors and {*item.tensors} <= known and (dense or per_feature):
            found.append(item)
            known.update(() if dense else (item.output,))
    return found


def find_float_scaling(feeds: Batch, operators: Sequence[Operator]) -> FloatScaling:
    """Which of the operators at the inputs (`scaling_at`) must stay float so that the network sees every feature.

    `feeds`: calibration data by input, (n, ..., features). Those that lead to a tensor of which some feature has less than
    LEAST_SNR_DB with int8, and GAIN_DB more with float; dense layers only where it does not help enough that what is before
    them is float. The inputs themselves where all that leaves less than LEAST_INPUT_SNR_DB for as long as they are int8.
    """
    between = {name for item in operators if item.kind != "DENSE" for name in item.tensors}
    everything = {item.output for item in operators}
    scaling = {item.output for item in operators if item.kind != "DENSE"}
    real = _simulate(feeds, operators, everything, int8_inputs=False)
    needed: dict[bool, set[str]] = {True: set(), False: set()}
    inputs = False
    for end in (item.output for item in operators if item.output not in between):

        def snr(floats: Collection[str], int8_inputs: bool, end: str = end) -> Array:
            value = _simulate(feeds, operators, floats, int8_inputs=int8_inputs)[end]
            return _snr_db(real[end], _round_to_int8(value))

        for int8_inputs in (True, False):
            best = snr(everything, int8_inputs)
            if _loses(snr((), int8_inputs), best):
                floats = everything if _loses(snr(scaling, int8_inputs), best) else scaling
                needed[int8_inputs] |= floats & _upstream(end, operators)
        inputs |= _loses(snr(needed[True], True), snr(needed[False], False), LEAST_INPUT_SNR_DB)
    needed[True] |= needed[False] if inputs else set()  # int8 inputs that are insisted on: no worse than they must be
    sides = [tuple(item.output for item in operators if item.output in needed[side]) for side in (False, True)]
    return FloatScaling(sides[0], sides[1], inputs)


def _loses(int8: Array, best: Array, least: float = LEAST_SNR_DB) -> bool:
    return bool(((int8 < least) & (best - int8 >= GAIN_DB)).any())


def _upstream(end: str, operators: Sequence[Operator]) -> set[str]:
    """The tensor itself and all that it is made of."""
    found = {end}
    for item in reversed(operators):
        if item.output in found:
            found.update(item.tensors)
    return found


def _simulate(
    feeds: Batch, operators: Sequence[Operator], floats: Collection[str], *, int8_inputs: bool
) -> dict[str, Array]:
    """The value of every tensor where all operators but those that make the tensors `floats` compute in int8."""
    values = {
        name: _round_to_int8(value) if int8_inputs and value.dtype.kind == "f" else value
        for name, value in feeds.items()
    }
    for item in operators:
        parts = [values[part] if isinstance(part, str) else part for part in item.inputs]
        if item.output not in floats:
            dense = item.kind == "DENSE"
            parts = [
                _round_to_int8(part, per_unit=dense and not isinstance(name, str)) if part.dtype.kind == "f" else part
                for name, part in zip(item.inputs, parts, strict=True)
            ]
        with np.errstate(all="ignore"):
            value = _FUNCTIONS[item.kind](*parts)
        values[item.output] = value if item.output in floats else _round_to_int8(value)
    return values


def _round_to_int8(values: Array, *, per_unit: bool = False) -> Array:
    """Values as int8 holds them: one scale, over a range with 0 in it, or `per_unit` one for each column of a dense kernel.

    Ranges that are infinite are left as they are.
    """
    if per_unit:
        scale: Array = np.abs(values).max(axis=0, keepdims=True) / (LEVELS // 2)
    else:
        scale = np.asarray((max(float(values.max()), 0.0) - min(float(values.min()), 0.0)) / LEVELS)
    if not np.isfinite(scale).all():
        return values
    scale = np.where(scale > 0, scale, 1)
    rounded: Array = (np.rint(values.astype(np.float64) / scale) * scale).astype(np.float32)
    return rounded


def _snr_db(real: Array, other: Array) -> Array:
    """Per feature its variance over the mean squared error, in dB; infinite where it never changes."""
    real, other = (value.reshape(-1, value.shape[-1]).astype(np.float64) for value in (real, other))
    with np.errstate(all="ignore"):
        noise = np.square(other - real).mean(axis=0)
        result: Array = np.where(real.var(axis=0) > 0, 10 * np.log10(real.var(axis=0) / noise), np.inf)
    return np.nan_to_num(result, nan=np.inf)


def describe(operators: Sequence[str], *, float_inputs: bool) -> list[str]:
    """A note on what stays float, for people; `float_inputs`: the inputs do, too."""
    if not operators:
        return []
    what = "the inputs and their scaling" if float_inputs else "the scaling of the inputs"
    return [f"float32 stay {what}: int8 has too few steps for some features, as the calibration data shows"]


def read_samples(data: RepresentativeDataset, inputs: Sequence[TensorSpec], count: int) -> Batch:
    """At most `count` samples, spread evenly over the data, by input; fewer where so many do not fit in BYTES."""
    each = sum(4 * prod(shape[1:]) for shape in calibration.sample_shapes(data, inputs).values())
    size = calibration.batch_size(inputs, each)
    batches = list(calibration.spread_batches(data, inputs, size, max(1, min(count, BYTES // max(1, each)))))
    return {spec.name: np.concatenate([batch[spec.name] for batch in batches]) for spec in inputs}
