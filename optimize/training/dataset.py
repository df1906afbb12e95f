"""Training data: every array of a data source on disk once, so that samples can be drawn in any order without being in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import HINT, RepresentativeDataset
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.types import TensorSpec

Array = np.ndarray[Any, Any]
CHUNK = 1024
HELD_OUT, MOST_HELD_OUT = 0.1, 2000  # of the training data, where no validation data is given


@dataclass(frozen=True)
class Samples:
    """Inputs in the order of the model's own, in the source's dtype, and labels by output name; `rows` are those in use.

    `soft_targets` is what is learned in place of the labels, where a teacher has a say in it.
    """

    source: str
    digest: str
    specs: tuple[TensorSpec, ...]
    inputs: tuple[Array, ...]
    labels: Mapping[str, Array]
    rows: Array
    soft_targets: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        """The number of samples in use."""
        return len(self.rows)

    def with_rows(self, rows: Array) -> Samples:
        """The same data with other samples in use."""
        return replace(self, rows=rows)

    def feeds(self, rows: Array) -> tuple[Array, ...]:
        """The inputs of these samples in the model's own dtypes."""
        return tuple(array[rows].astype(spec.dtype) for array, spec in zip(self.inputs, self.specs, strict=True))

    def targets(self, rows: Array, names: Sequence[str]) -> tuple[Array, ...]:
        """What these samples teach the named outputs."""
        return tuple((self.soft_targets or self.labels)[name][rows] for name in names)

    def batches(self, size: int, *, whole: bool = False) -> Iterator[Array]:
        """Row numbers, in order; `whole` leaves out a last batch that is smaller."""
        stop = len(self.rows) - len(self.rows) % size if whole else len(self.rows)
        for start in range(0, stop, size):
            yield self.rows[start : start + size]


def read(source: str, specs: Sequence[TensorSpec], outputs: Sequence[str], folder: Path, limit: int | None) -> Samples:
    """Copy the arrays that the model takes into `folder`; labels are `y` for a single output, else `y_<output>`.

    Raises InputError where an input or every label is missing, or where a value is NaN or infinite.
    """
    data = RepresentativeDataset(source)
    names = data.match_inputs(specs)
    total = min(len(data), limit or len(data))
    stores = []
    for index, spec in enumerate(specs):
        name = names[spec.name]
        shape = (total, *data.shapes[name])
        stores.append(np.lib.format.open_memmap(folder / f"{index}.npy", "w+", data.dtypes[name], shape))
    start = 0
    for batch in data.batches(CHUNK, limit, dict.fromkeys(names.values())):
        count = len(next(iter(batch.values())))
        for store, spec in zip(stores, specs, strict=True):
            part = batch[names[spec.name]]
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise InputError(f"{source}: array '{names[spec.name]}' holds NaN or infinity; clean the data first")
            store[start : start + count] = part
        start += count
    labels = _read_labels(data, specs, outputs, limit)
    return Samples(source, data.digest, tuple(specs), tuple(stores), labels, np.arange(total))


def _read_labels(
    data: RepresentativeDataset, specs: Sequence[TensorSpec], outputs: Sequence[str], limit: int | None
) -> dict[str, Array]:
    arrays = data.labels(limit, specs)
    labels = {name: arrays[f"y_{name}"] for name in outputs if f"y_{name}" in arrays}
    if "y" in arrays and not labels:
        labels = {outputs[0]: arrays["y"]} if len(outputs) == 1 or not arrays.keys() - {"y"} else {}
    if not labels:
        names = "y" if len(outputs) == 1 else " or ".join(f"y_{name}" for name in outputs)
        raise InputError(f"{data.source}: training needs labels, and there is no array {names} in it; {HINT}")
    for name, array in labels.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{data.source}: the labels of '{name}' hold NaN or infinity; clean the data first")
    return labels


def split(samples: Samples, seed: int) -> tuple[Samples, Samples]:
    """Training and validation samples: a tenth, at most 2,000, is held out at random by the seed."""
    order = np.random.default_rng(seed).permutation(samples.rows)
    holdout_size = min(MOST_HELD_OUT, round(len(order) * HELD_OUT))
    if not holdout_size:
        raise InputError(f"{samples.source}: {len(order)} samples are too few to train with and to hold some out")
    return samples.with_rows(np.sort(order[holdout_size:])), samples.with_rows(np.sort(order[:holdout_size]))


def tf_dataset(samples: Samples, outputs: Sequence[str], batch: int, seed: int | None, *, whole: bool = False) -> Any:
    """A `tf.data.Dataset` of (inputs, labels) batches; with a seed in a new order each time it is gone through."""
    import tensorflow as tf

    generator = np.random.default_rng(seed)

    def generate_batches() -> Iterator[Any]:
        epoch_samples = samples if seed is None else samples.with_rows(generator.permutation(samples.rows))
        for rows in epoch_samples.batches(batch, whole=whole):
            yield unwrap_single(samples.feeds(rows)), unwrap_single(samples.targets(rows, outputs))

    return tf.data.Dataset.from_generator(
        generate_batches, output_signature=_output_signature(samples, outputs)
    ).prefetch(2)


def _output_signature(samples: Samples, outputs: Sequence[str]) -> Any:
    import tensorflow as tf

    def tensor_spec(shape: Sequence[int], dtype: Any) -> Any:
        return tf.TensorSpec((None, *shape), dtype)

    inputs = tuple(
        tensor_spec(array.shape[1:], spec.dtype) for array, spec in zip(samples.inputs, samples.specs, strict=True)
    )
    return unwrap_single(inputs), unwrap_single(
        tuple(tensor_spec(target.shape[1:], target.dtype) for target in samples.targets(samples.rows[:1], outputs))
    )


def unwrap_single(parts: Sequence[Any]) -> Any:
    """What Keras takes for a model with that many inputs or outputs."""
    return parts[0] if len(parts) == 1 else parts
