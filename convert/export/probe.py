"""Random inputs that any model should digest, and the comparison of two answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgeship.errors import CheckError
from edgeship.types import TensorSpec

Arrays = dict[str, np.ndarray[Any, Any]]

# Sizes tried for dynamic axes other than the batch: short sequences first, then what image networks can still shrink.
SIZES = (16, 32, 64, 128, 224, 331)


def random_feeds(inputs: Sequence[TensorSpec], samples: int, seed: int = 0) -> Iterator[Arrays]:
    """Feeds to try one after the other until the model takes one.

    Whole numbers are 0 or 1 so that the smallest embedding table holds them; real ones are in [0, 1).
    """
    dynamic = any(size is None for spec in inputs for size in spec.shape[1:])
    for size in SIZES if dynamic else SIZES[:1]:
        yield {
            spec.name: _random_values(spec, samples, size, np.random.default_rng([seed, index]))
            for index, spec in enumerate(inputs)
        }


def _random_values(spec: TensorSpec, samples: int, size: int, random: np.random.Generator) -> np.ndarray[Any, Any]:
    batch = () if not spec.shape else (spec.shape[0] or samples,)
    shape = (*batch, *(size if axis is None else axis for axis in spec.shape[1:]))
    if spec.dtype == "float32":
        return random.random(shape, np.float32)
    return random.integers(0, 2, shape).astype(spec.dtype)


def check_close(reference: Mapping[str, Any], outputs: Mapping[str, Any], tolerance: float, what: str) -> None:
    """Raise CheckError where two answers differ by more than `tolerance` of the largest expected value (at least 1e-3)."""
    for name, want in reference.items():
        if name not in outputs:
            raise CheckError(f"{what} has no output '{name}' (it has: {', '.join(outputs)})")
        have = outputs[name]
        if have.shape != want.shape:
            raise CheckError(f"{what}: output '{name}' has shape {have.shape}, the model itself gives {want.shape}")
        want64, have64 = np.asarray(want, np.float64), np.asarray(have, np.float64)
        finite = np.isfinite(want64)
        if (
            not np.array_equal(want64[~finite], have64[~finite], equal_nan=True)
            or not np.isfinite(have64[finite]).all()
        ):
            raise CheckError(
                f"{what}: output '{name}' holds NaN or infinity where the model itself does not; weights were lost on the way"
            )
        scale = max(float(np.abs(want64[finite]).max(initial=0.0)), 1e-3)
        worst = float(np.abs(want64 - have64)[finite].max(initial=0.0))
        if worst > tolerance * scale:
            raise CheckError(
                f"{what}: output '{name}' differs by {worst:.3g} from the model itself (largest value {scale:.3g})"
            )
