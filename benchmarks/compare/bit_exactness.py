"""How near a device's outputs are to this machine's, for the same artifact and inputs: to the bit, in steps, or by error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import parity
from edgeship.data import Array
from edgeship.errors import CheckError

Json = Mapping[str, Any]
STEPS = 8  # how many sizes of a difference are counted one by one


def compare_bit_exactness(
    here: Mapping[str, Array], there: Mapping[str, Array], answers: tuple[Json, Json]
) -> dict[str, Any]:
    """`here` and `there` are raw outputs (n, ...), as the artifact stores them; `answers` the same as real numbers.

    Returns values, differ (values that are not the same to the bit), exact, max_steps (largest difference in units of the
    last place of quantized outputs, None where an output is float), steps ({size: how many values}), max_abs_error and
    agreement (worst over the outputs; None where they are no answers). Raises CheckError where names or shapes differ.
    """
    if set(here) != set(there):
        raise CheckError(f"the device gives outputs {', '.join(sorted(there))}, this machine {', '.join(sorted(here))}")
    compared = parity.compare(*answers)
    worst = parity.worst(compared)
    reasons = [item["reason"] for item in compared.values() if item["reason"]]
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
    return {
        "values": values,
        "differ": differ,
        "exact": differ == 0,
        "max_steps": max(steps, default=0) if whole else None,
        "steps": {str(size): steps[size] for size in sorted(steps)[:STEPS]} if whole else {},
        "max_abs_error": worst["max_abs_error"],
        "agreement": worst["agreement"],
        "reason": reasons[0] if reasons else "",
    }
