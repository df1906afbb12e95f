"""Where the inputs of samples are: a folder with `samples.csv` and a `NAME.npz` of tensors for each, or one `.npz` of many.

In one `.npz` a sample's name is its number, from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Batch, RepresentativeDataset, load
from edgeship.errors import InputError
from edgeship.learning.samples.sample_table import SAMPLE, Row, read_table
from edgeship.light_dataclass import dataclass
from edgeship.storage.npz import shape_text
from edgeship.types import TensorSpec
from edgeship.untrusted import place_within, printable

Array = np.ndarray[Any, Any]
TABLE = "samples.csv"
SHOWN = 5  # names in a message
BATCH = 512


@dataclass(frozen=True)
class SampleSource:
    """Samples by name: `rows` are what is known of each (at least `sample`), `inputs` the tensors that a model takes."""

    path: Path
    inputs: tuple[TensorSpec, ...]
    rows: tuple[Row, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The samples' names, in the source's order."""
        return tuple(row[SAMPLE] for row in self.rows)

    def read(self, names: Sequence[str]) -> Batch:
        """The tensors of these samples by input, (n, ...) in the inputs' dtypes.

        Raises InputError that names samples which are not there, and for tensors that do not fit the model.
        """
        known = {name: place for place, name in enumerate(self.names)}
        if unknown := [name for name in names if name not in known]:
            shown = ", ".join(printable(name)[:60] for name in unknown[:SHOWN])
            raise InputError(
                f"{printable(self.path)}: {len(unknown):,} of {len(names):,} labelled samples are not in it: {shown}"
            )
        if self.path.is_dir():
            parts = [self._read_one(name) for name in names]
            return {spec.name: _stack(spec, [part[spec.name] for part in parts]) for spec in self.inputs}
        return self._read_rows(np.array([known[name] for name in names], np.int64))

    def _read_rows(self, rows: Array) -> Batch:
        """Those samples of one `.npz`, in the given order."""
        parts: list[tuple[Array, Batch]] = []
        start = 0
        for batch in RepresentativeDataset(self.path).feeds(self.inputs, BATCH):
            count = len(next(iter(batch.values())))
            inside = np.flatnonzero((rows >= start) & (rows < start + count))
            parts.append((inside, {name: array[rows[inside] - start] for name, array in batch.items()}))
            start += count
        order = np.argsort(np.concatenate([inside for inside, _ in parts]), kind="stable")
        return {spec.name: np.concatenate([part[spec.name] for _, part in parts])[order] for spec in self.inputs}

    def _read_one(self, name: str) -> Batch:
        file = place_within(self.path, f"{name}.npz")
        if "/" in name or not file.is_file():
            raise InputError(f"{printable(self.path)}: has no {printable(name)[:80]}.npz, which {TABLE} names")
        arrays = load(file)
        if len(self.inputs) == 1 and len(arrays) == 1:  # clients may call it as their artifact does
            arrays = {self.inputs[0].name: next(iter(arrays.values()))}
        return {spec.name: _fit(spec, arrays, file) for spec in self.inputs}


def open_samples(path: Path, inputs: Sequence[TensorSpec]) -> SampleSource:
    """The samples at a place, for a model with these inputs. Raises InputError where there are none."""
    if path.is_dir():
        if not (path / TABLE).is_file():
            raise InputError(f"{printable(path)}: has no {TABLE}, which lists its samples")
        _, rows = read_table(path / TABLE)
        names = [row[SAMPLE] for row in rows]
        if len({*names}) < len(names):
            raise InputError(f"{printable(path / TABLE)}: names a sample twice")
        return SampleSource(path, tuple(inputs), tuple(rows))
    data = RepresentativeDataset(path)
    data.match_inputs(inputs)
    return SampleSource(path, tuple(inputs), tuple({SAMPLE: str(number)} for number in range(len(data))))


def _fit(spec: TensorSpec, arrays: Batch, file: Path) -> Array:
    """One sample's tensor without a batch axis, in the model's dtype."""
    place = f"{printable(file)}: '{printable(spec.name)}'"
    if spec.name not in arrays:
        raise InputError(f"{place} is not in it (it has: {printable(', '.join(arrays))[:200]})")
    array, shape = arrays[spec.name], spec.shape[1:]
    if array.ndim == len(shape) + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != len(shape) or any(size not in (None, have) for size, have in zip(shape, array.shape, strict=True)):
        raise InputError(f"{place} is {shape_text(array.shape)}, the model takes {shape_text(shape)}")
    if np.dtype(spec.dtype) != array.dtype and not np.can_cast(array.dtype, spec.dtype, "same_kind"):
        raise InputError(f"{place} is {array.dtype}, the model takes {spec.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{place} holds NaN or infinity")
    return array.astype(spec.dtype, copy=False)


def _stack(spec: TensorSpec, arrays: Sequence[Array]) -> Array:
    if not arrays:
        shape = tuple(size or 0 for size in spec.shape[1:])
        return np.zeros((0, *shape), spec.dtype)
    if len({array.shape for array in arrays}) > 1:
        raise InputError(f"samples of '{printable(spec.name)}' differ in shape, which cannot be trained on together")
    return np.stack(arrays)
