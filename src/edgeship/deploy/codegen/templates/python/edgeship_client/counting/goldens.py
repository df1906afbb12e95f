"""What the self-test counts of the goldens: the report must be goldens/report.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import contract
from ..core import Array
from .counts import render_report
from .inferences import InferenceCounter
from .profile import BINS, COUNTED

WINDOW = "2026-W48"
FIELDS = {"arms": {"exp-7": "b"}, "runtime": 'a "runtime" \\ 1', "tier": "mid"}
Tensors = dict[str, Array]


def count_goldens(goldens: Path) -> str:
    """The report, as JSON, of all goldens with 0.75, 1.5, ... milliseconds but each third, an outcome of each.

    Then of the first with NaN in each output, and in each input; an error and a fallback.
    """
    counter = InferenceCounter(BINS)
    suffix = contract.ARTIFACT.replace("/", "-")
    samples: list[tuple[Tensors, Tensors]] = []
    for number, case in enumerate(contract.CASES):
        outputs = {item.name: _read(goldens, f"{case.name}.{item.name}.{suffix}") for item in contract.OUTPUTS}
        inputs = {item.name: _read(goldens, f"{case.name}.{item.name}.tensor") for item in contract.INPUTS}
        samples.append((outputs, inputs))
        milliseconds = None if number % 3 == 2 else 0.75 * (number + 1)
        predicted = counter.count(outputs, inputs, milliseconds=milliseconds)
        counter.outcome("corrected" if number % 2 else "accepted", predicted)
    outputs, inputs = samples[0]
    counter.count(_spoil(outputs), inputs)
    counter.count(outputs, _spoil(inputs))
    counter.error("out_of_memory")
    counter.fallback()
    return render_report(WINDOW, 3, "5d0c" * 8, {**COUNTED, **FIELDS}, counter.take())


def _read(goldens: Path, name: str) -> Array:
    return np.fromfile(goldens / name, "<f4")


def _spoil(tensors: Tensors) -> Tensors:
    return {name: np.concatenate([np.array([np.nan], "<f4"), values[1:]]) for name, values in tensors.items()}
