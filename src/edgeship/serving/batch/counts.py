"""Drift counters of a run: its inputs and predictions in the bins of the bundle's reference profile, as clients count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Array, Batch
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.profile.classes import count_answers
from edgeship.monitoring.profile.descriptors import describe_samples
from edgeship.monitoring.profile.edges import count_values
from edgeship.monitoring.profile.profile import FILE, ProfileInput, ProfileOutput, read_profile
from edgeship.serving.batch.model import BatchModel
from edgeship.serving.batch.rows.outputs import OutputColumns
from edgeship.storage import digest
from edgeship.untrusted import printable

Cell = tuple[str, str, str, int]  # side, name, kind, cell
Counts = Mapping[Cell, int]
RUN, INPUT, OUTPUT = "run", "input", "output"
ROWS, NOT_FINITE = (RUN, "", "rows", 0), (RUN, "", "not_finite", 0)


@dataclass(frozen=True)
class RunCounter:
    """What is counted of rows, in the bins of the `profile` of that digest."""

    profile: str
    inputs: tuple[ProfileInput, ...]
    outputs: tuple[ProfileOutput, ...]

    def count(self, inputs: Batch, outputs: Batch) -> Counts:
        """The counts of n rows by cell: `inputs` (n, ...) as the contract's steps give them, `outputs` (n, ...) dequantized.

        Rows whose scores of classes are not finite are counted as such, and nowhere else, as a client does.
        """
        total = len(next(iter(outputs.values())))
        finite = np.ones(total, bool)
        for item in self.outputs:
            if item.classes and not np.isfinite(outputs[item.name]).all():
                finite &= np.isfinite(outputs[item.name].reshape(total, -1)).all(axis=1)
        taken = int(finite.sum())
        if taken < total:
            inputs = {name: array[finite] for name, array in inputs.items()}
            outputs = {name: array[finite] for name, array in outputs.items()}
        found = {ROWS: taken, NOT_FINITE: total - taken}
        if taken:
            for how in self.inputs:
                found.update(_count_values(INPUT, how.name, how, inputs[how.name]))
            for item in self.outputs:
                found.update(_count_output(item, outputs[item.name]))
        return {cell: count for cell, count in found.items() if count}


def _count_output(how: ProfileOutput, scores: Array) -> Iterator[tuple[Cell, int]]:
    if how.values is not None:
        yield from _count_values(OUTPUT, how.name, how.values, scores)
        return
    found = count_answers(scores, how, None)
    yield from (
        ((OUTPUT, how.name, "joint", cell), count)
        for cell, count in zip(found.joint[::2], found.joint[1::2], strict=True)
    )
    for kind, histogram in (("margin", found.margin), ("entropy", found.entropy)):
        yield from (((OUTPUT, how.name, kind, cell), count) for cell, count in enumerate(histogram))


def _count_values(side: str, name: str, how: ProfileInput, values: Array) -> Iterator[tuple[Cell, int]]:
    for descriptor, column in zip(how.descriptors, describe_samples(values, how).T, strict=True):
        histogram = count_values(column, descriptor.edges)
        yield from (((side, name, descriptor.name, cell), count) for cell, count in enumerate(histogram))


def find_counter(root: Path, model: BatchModel, outputs: Sequence[OutputColumns]) -> tuple[RunCounter | None, str]:
    """What the bundle's profile has counted of an artifact's rows; where nothing is, None and why.

    Raises InputError for a profile that is broken, or of other tensors than the bundle's.
    """
    profile = read_profile(root)
    if profile is None:
        return None, f"the bundle has no {FILE}"
    if profile.artifacts.get(model.entry.id) != model.entry.digest:
        return None, f"the bundle's {FILE} is not of this {model.entry.id}"
    inputs = {item.name: item.tensor.shape[1:] for item in model.contract.inputs}
    answers = {item.item.name: item.item.shape[1:] for item in outputs}
    known = all(item.name in inputs and _suits(item, inputs[item.name]) for item in profile.inputs)
    known &= all(item.name in answers and _suits_output(item, answers[item.name]) for item in profile.outputs)
    if not known:
        raise InputError(
            f"{printable(root / FILE)}: is of other tensors than the bundle's contract; make the bundle again"
        )
    return RunCounter(digest.of_path(root / FILE), profile.inputs, profile.outputs), ""


def _suits(how: ProfileInput, sizes: Sequence[int | None]) -> bool:
    return not how.columns or None in sizes or _multiply(sizes) >= len(how.descriptors)


def _suits_output(how: ProfileOutput, sizes: Sequence[int | None]) -> bool:
    if how.values is not None:
        return _suits(how.values, sizes)
    return None not in sizes and _multiply(sizes) == (1 if how.scores in ("score", "logit") else how.classes)


def _multiply(sizes: Sequence[Any]) -> int:
    return int(np.prod(sizes, dtype=np.int64))


def add_counts(parts: Iterable[Counts]) -> Counts:
    """The counts of several chunks together."""
    total: Counter[Cell] = Counter()
    for part in parts:
        total.update(part)
    return total
