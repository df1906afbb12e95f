"""What is counted of a tensor: a few numbers of each sample, the same in every language that a client is written in.

At most `MOST_NUMBERS` of a sample are looked at, so that counting costs the same whatever the model's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeship.monitoring.profile.profile import ProfileInput

Array = np.ndarray[Any, Any]
MOST_NUMBERS, MOST_COLUMNS = 512, 24
BLOCK = 1 << 16  # numbers that are looked at in one go, so that they stay in a core's cache: a fourth of the time
NAMES = ("mean", "deviation", "low", "high", "step")


def choose_every(size: int) -> int:
    """One number in how many of `size` is looked at; without a common divisor, so that no row or channel is left out."""
    every = math.ceil(size / MOST_NUMBERS)
    while math.gcd(size, every) > 1:
        every += 1
    return every


def describe_samples(batch: Array, how: ProfileInput) -> Array:
    """The descriptors (n, d) of samples (n, ...): columns as they are, or in float64 those of `NAMES` in their order.

    mean = x0 + sum(x - x0)/m and deviation^2 = sum((x - x0)^2)/m - (sum(x - x0)/m)^2 over the m numbers that are looked at,
    which are x0, the first of the sample, and every `every`-th after it; step is the mean of |x[i] - x[i - stride]| over
    i = stride, stride + every, ...: 0 where a sample is no longer than the stride.
    """
    flat = batch.reshape(len(batch), -1)
    if how.columns:
        return flat[:, : len(how.descriptors)]
    rows = max(1, BLOCK * how.every // max(1, flat.shape[1]))
    return np.concatenate(
        [_describe_block(flat[start : start + rows], how) for start in range(0, max(1, len(flat)), rows)]
    )


def _describe_block(flat: Array, how: ProfileInput) -> Array:
    with np.errstate(all="ignore"):
        taken = flat[:, :: how.every].astype(np.float64)
        shifted = taken - taken[:, :1]
        mean = shifted.mean(axis=1)
        deviation = np.sqrt(np.maximum((shifted * shifted).mean(axis=1) - mean * mean, 0))
        later, earlier = flat[:, how.stride :: how.every], flat[:, : -how.stride : how.every]
        steps = np.abs(later.astype(np.float64) - earlier.astype(np.float64))
        step = steps.mean(axis=1) if steps.shape[1] else np.zeros(len(flat))
    shares = [(taken <= how.low).mean(axis=1), (taken >= how.high).mean(axis=1)]
    return np.stack([taken[:, 0] + mean, deviation, *shares, step], axis=1)


def find_stride(shape: Sequence[int]) -> int:
    """The number of channels of samples of a shape (without the batch's axis): 1 where there is no axis for them."""
    return shape[-1] if len(shape) == 3 or (len(shape) == 2 and shape[-1] <= MOST_COLUMNS) else 1
