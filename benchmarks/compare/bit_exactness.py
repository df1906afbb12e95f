"""How near a device's outputs are to this machine's, for the same artifact and inputs: to the bit, in steps, or by error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeship.benchmarks.compare import parity
from edgeship.bundle.figures.device_figures import BitExactness
from edgeship.data import Array
from edgeship.errors import CheckError

Outputs = Mapping[str, Array]
STEPS = 8  # how many sizes of a difference are counted one by one


def compare_bit_exactness(here: Outputs, there: Outputs, answers: tuple[Outputs, Outputs]) -> BitExactness:
    """`here` and `there` are raw outputs (n, ...), as the artifact stores them; `answers` the same as real numbers.

    `max_abs_error` and `agreement` are the worst over the outputs. Raises CheckError where names or shapes differ.
    """
    if set(here) != set(there):
        raise CheckError(f"the device gives outputs {', '.join(sorted(there))}, this machine {', '.join(sorted(here))}")
    comparisons = parity.compare(*answers)
    worst = parity.worst_figures(comparisons)
    reasons = [output.reason for output in comparisons.values() if output.reason]
    values = differ = 0
    steps: dict[int, int] = {}
    whole = True
    for name, ours in here.items():
        theirs = there[name]
        values += ours.size
        same = ours == theirs
        if ours.dtype.kind == "f":  # NaN beside NaN is no difference
            same |= np.isnan(ours) & np.isnan(theirs)
        differ += int((~same).sum())
        if ours.dtype.kind in "iu" and theirs.dtype == ours.dtype:
            sizes, counts = np.unique(np.abs(theirs.astype(np.int64) - ours.astype(np.int64)), return_counts=True)
            for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
                steps[size] = steps.get(size, 0) + count
        else:
            whole = False
    steps.pop(0, None)
    return BitExactness(
        values=values,
        differ=differ,
        exact=differ == 0,
        max_steps=max(steps, default=0) if whole else None,
        steps={str(size): steps[size] for size in sorted(steps)[:STEPS]} if whole else {},
        max_abs_error=worst["max_abs_error"],
        agreement=worst["agreement"],
        reason=reasons[0] if reasons else "",
    )
