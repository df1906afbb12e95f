"""Which samples calibrate a model, and in which batches they are fed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Array, Batch, RepresentativeDataset
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.recipes.quantization import CALIBRATION_METHODS, DEFAULT_SAMPLES, MIN_MAX
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file
from edgeship.types import TensorSpec

FEW_SAMPLES = 100

# A batch pays the runtime's overhead per call once: 3 to 5 times faster on small models. Where the values of one
# sample fill the processor's cache by themselves, a batch is no faster or even slower, and takes more memory.
MAX_BATCH = 32
_BATCH_BYTES = 4 << 20
ONE = 1 << 60  # bytes a sample, where samples are fed one by one
_CHUNK_BYTES = 64 << 20

_SCHEMA = 3

# Sizes to try for a dynamic axis of which nothing is known, where a model shall only run once.
TRIAL_SIZES = (128, 16, 1, 1024)

NEEDS_DATA = (
    "int8 needs representative data to calibrate the activations: give some with --data calibration.npz "
    "(one array per model input, samples first)"
)


def open_data(data: str | None) -> RepresentativeDataset:
    """The calibration data. Raises InputError, which says how to give some, where there is none."""
    if not data:
        raise InputError(NEEDS_DATA)
    return RepresentativeDataset(data)


def note_few_samples(count: int) -> list[str]:
    """A note where so few samples calibrate that the ranges are not to be trusted."""
    if count >= FEW_SAMPLES:
        return []
    return [f"calibrated with only {count} samples: {FEW_SAMPLES} to {DEFAULT_SAMPLES} give ranges that hold"]


def note_float_parts(islands: Sequence[str], weights: Mapping[str, int]) -> list[str]:
    """Notes on what stayed float32: operators (`OPERATOR name`) and constants (name to bytes)."""
    notes = []
    if islands:
        kinds = ", ".join(sorted({island.split()[0] for island in islands}))
        notes.append(f"{len(islands)} operator(s) stay float32, the quantizer has no int8 form of them: {kinds}")
    if weights:
        largest = sorted(weights, key=lambda name: -weights[name])
        more = f" and {len(largest) - 3} more" if len(largest) > 3 else ""
        notes.append(f"{sum(weights.values())} bytes of weights stay float32: {', '.join(largest[:3])}{more}")
    return notes


def batch_size(inputs: Sequence[TensorSpec], each: int) -> int:
    """How many samples to feed at once: what a fixed batch axis demands, else as many as memory allows.

    `each` is the number of bytes that one sample takes while the model runs.
    """
    fixed_sizes = {spec.shape[0] for spec in inputs if spec.shape and spec.shape[0] is not None}
    if len(fixed_sizes) > 1:
        raise InputError(
            f"the model's inputs have different fixed batch sizes {sorted(fixed_sizes)}; export it with one"
        )
    if fixed_sizes:
        return int(fixed_sizes.pop() or 1)
    return max(1, min(MAX_BATCH, _BATCH_BYTES // max(1, each)))


def sample_shapes(data: RepresentativeDataset, inputs: Sequence[TensorSpec]) -> dict[str, list[int]]:
    """The shape of one sample with its batch axis, per input. Raises InputError where the data does not fit."""
    names = data.match_inputs(inputs)
    return {spec.name: [spec.shape[0] or 1, *data.shapes[names[spec.name]]] for spec in inputs}


def spread_batches(
    data: RepresentativeDataset, inputs: Sequence[TensorSpec], size: int, samples: int = DEFAULT_SAMPLES
) -> Iterator[Batch]:
    """At most `samples` feeds' worth of samples, evenly spread over the data, in batches of exactly `size`.

    Evenly, since data is often sorted (by class, by subject) and its first samples are not representative. The last
    batch is filled by repeating its last sample, which changes neither a minimum nor a maximum, so that fixed batch
    sizes work and a runtime never has to resize. Holds one batch and one chunk of the data at a time.
    Raises InputError where the data does not fit the inputs, or holds NaN or infinity.
    """
    total = len(data)
    indices = np.unique(np.linspace(0, total - 1, min(samples, total)).round().astype(int))
    pending: list[Batch] = []
    start = 0
    for chunk in data.feeds(inputs, _chunk_size(inputs, data)):
        length = len(next(iter(chunk.values())))
        first, last = np.searchsorted(indices, (start, start + length))
        for index in indices[first:last] - start:
            pending.append({name: array[index] for name, array in chunk.items()})
            if len(pending) == size:
                yield _stack_samples(pending, size)
                pending = []
        start += length
    if pending:
        yield _stack_samples(pending, size)


def trial_zeros(spec: TensorSpec, shape: Sequence[int] | None, size: int) -> Array:
    """One sample of zeros for an input, of that shape where it is known; else `size` stands for every dynamic axis."""
    guess = [axis or (size if index else 1) for index, axis in enumerate(spec.shape)]
    return np.zeros(shape or guess, spec.dtype)


def _chunk_size(inputs: Sequence[TensorSpec], data: RepresentativeDataset) -> int:
    """Samples to read at once: enough to be quick on small ones, few enough to stay small on large ones."""
    names = data.match_inputs(inputs)
    size = sum(prod(data.shapes[name]) * data.dtypes[name].itemsize for name in names.values())
    return max(1, min(1024, _CHUNK_BYTES // max(1, size)))


def _stack_samples(samples: Sequence[Batch], size: int) -> Batch:
    padded_samples = [*samples, *[samples[-1]] * (size - len(samples))]
    return {name: np.stack([sample[name] for sample in padded_samples]) for name in samples[0]}


Ranges = Mapping[str, Sequence[float]]


def write_statistics(
    out: str, model: str, facts: Mapping[str, Any], ranges: Ranges, kinds: Mapping[str, Ranges]
) -> None:
    """Write what was observed of a model: extremes per tensor, and ranges by other `kinds` of calibration, if any, as JSON.

    `facts` are what else `Statistics` holds, and what calibrated.

    Raises InputError for a tensor that became infinite or NaN.
    """
    for name, extremes in ranges.items():
        if not np.isfinite(extremes).all():
            raise InputError(f"{model}: tensor {name} becomes infinite or NaN on this data: int8 cannot hold it")
    document = {
        "schema": _SCHEMA,
        "model": digest.of_path(Path(model)),
        **facts,
        "ranges": ranges,
        # What was not watched, as tensors inside of a loop, keeps its extremes.
        "kinds": {kind: {**ranges, **special} for kind, special in kinds.items()},
    }
    with atomic_file(out) as beside:
        beside.write_text(json.dumps(document, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class FloatScaling:
    """Operators at the inputs that stay float, by the tensors that they make: behind float inputs, and behind int8 ones.

    `inputs`: whether those of a file that leaves their type open must be float. `spectrum`: which of the tensors belong to a
    spectrum (`spectra`).
    """

    operators: Sequence[str] = ()
    operators_behind_int8: Sequence[str] = ()
    inputs: bool = False
    spectrum: Sequence[str] = ()


@dataclass(frozen=True)
class Statistics:
    """What was observed of a model on representative data: `ranges` are the extremes per tensor, `kinds` those of other methods.

    `shapes` are those of one sample, as the format's calibration writes them; `float_scaling` is what must stay float at the
    inputs.
    """

    samples: int
    shapes: Mapping[str, Any]
    ranges: Ranges
    kinds: Mapping[str, Ranges]
    float_scaling: FloatScaling

    def ranges_of(self, kind: str) -> Ranges:
        """The ranges of one calibration method, by tensor. Raises InputError where there are none of that method."""
        if kind == MIN_MAX:
            return self.ranges
        if kind not in CALIBRATION_METHODS:
            raise unknown_name_error("calibration method", kind, CALIBRATION_METHODS)
        if kind not in self.kinds:
            raise InputError(f"these statistics hold no ranges by {kind}: calibrate closely")
        return self.kinds[kind]


def read_statistics(path: str | None, model: str) -> Statistics:
    """What `write_statistics` wrote. Raises InputError where there is none, or it is another model's."""
    if not path:
        raise InputError(NEEDS_DATA)
    try:
        document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such calibration statistics; calibrate first") from error
    except ValueError as error:
        raise InputError(f"{path}: not calibration statistics ({error})") from error
    if document.get("schema") != _SCHEMA:
        raise InputError(f"{path}: not calibration statistics of this version; calibrate again")
    if document["model"] != digest.of_path(Path(model)):
        raise InputError(f"{path}: taken from another model than {model}; calibrate this one")
    document["float_scaling"] = FloatScaling(**document["float_scaling"])
    return Statistics(**{item.name: document[item.name] for item in fields(Statistics)})
