"""What goes in and out of a session: checks of names, shapes and dtypes, and the affine quantization between.

real = scale * (q - zero_point), Jacob et al. 2018 (arXiv:1712.05877), as TFLite's quantization specification has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from edgeship.data import Array, Batch
from edgeship.errors import CheckError, InputError
from edgeship.types import Quantization, TensorSpec
from edgeship.untrusted import count_elements, damage_as_input_error


def check_feeds(feeds: Mapping[str, Array], inputs: Sequence[TensorSpec], where: str, *, raw: bool) -> Batch:
    """The feeds in the model's own order and dtypes, quantized unless `raw`.

    A quantized input takes real numbers (or, raw, exactly its own dtype). Raises InputError on a missing or unknown
    name, a shape that does not fit, a dtype that would lose information, different numbers of samples, no sample, NaN.
    """
    names = [spec.name for spec in inputs]
    if set(names) != set(feeds):
        raise InputError(f"{where} takes inputs {_list_names(names)}, got {_list_names(feeds)}")
    arrays = {spec.name: np.asarray(feeds[spec.name]) for spec in inputs}
    batched = batched_inputs(inputs)
    for spec in inputs:
        _check_shape(arrays[spec.name], spec, where, batched=spec.name in batched)
    counts = {len(arrays[name]) for name in batched}
    if len(counts) > 1:
        raise InputError(f"{where}: the inputs have different numbers of samples: {sorted(counts)}")
    if 0 in counts:
        raise InputError(f"{where}: no sample in the batch")
    with damage_as_input_error(f"{where}: inputs"):  # scales of a damaged file may not fit its shapes
        return {spec.name: _convert_dtype(arrays[spec.name], spec, where, raw) for spec in inputs}


def made_up(inputs: Sequence[TensorSpec]) -> Batch:
    """A sample where none is given: floats in [0, 1) from a fixed seed, zeros for integers (always a valid index).

    Raises InputError for an input that is larger than the limits.
    """
    random = np.random.default_rng(0)
    sample: Batch = {}
    for spec in inputs:
        shape = [1, *(size or 1 for size in spec.shape[1:])] if spec.shape else []
        count_elements(spec.shape, np.dtype(spec.dtype).itemsize, f"input '{spec.name}'")
        real = spec.quantization is not None or np.dtype(spec.dtype).kind == "f"
        sample[spec.name] = random.random(shape, np.float32) if real else np.zeros(shape, spec.dtype)
    return sample


def one_sample(feeds: Mapping[str, Array], inputs: Sequence[TensorSpec]) -> Batch:
    """The first sample of a batch, as often as a model with a fixed batch axis takes it."""
    batched = batched_inputs(inputs)
    sample: Batch = {name: np.asarray(array) for name, array in feeds.items()}
    for spec in inputs:
        if spec.name in sample and spec.name in batched:
            sample[spec.name] = np.repeat(sample[spec.name][:1], spec.shape[0] or 1, axis=0)
    return sample


def split_batch(feeds: Batch, inputs: Sequence[TensorSpec], size: int) -> Iterator[Batch]:
    """The batch in pieces of at most `size` samples; inputs without a batch axis go whole with each piece."""
    batched = batched_inputs(inputs)
    count = len(feeds[min(batched)]) if batched else 1
    for start in range(0, count, size):
        yield {name: array[start : start + size] if name in batched else array for name, array in feeds.items()}


def check_numbers(outputs: Sequence[TensorSpec]) -> None:
    """Raise CheckError for an output that holds no numbers: text, or what numpy does not have."""
    for spec in outputs:
        try:
            numbers = np.dtype(spec.dtype).kind in "biufc"
        except TypeError:
            numbers = False
        if not numbers:
            raise CheckError(f"output '{spec.name}' is {spec.dtype}: only numbers are compared")


def join_batches(parts: Sequence[Mapping[str, Array]], specs: Sequence[TensorSpec]) -> Batch:
    """The outputs of several batches as one. Raises CheckError where samples do not lie along the first axis."""
    return {spec.name: _join_arrays(spec.name, [part[spec.name] for part in parts]) for spec in specs}


def _join_arrays(name: str, arrays: Sequence[Array]) -> Array:
    if not all(array.ndim for array in arrays):
        raise CheckError(f"output '{name}' is one value for a whole batch, which says nothing about each sample")
    try:
        return np.concatenate(arrays)
    except ValueError as error:
        raise CheckError(
            f"output '{name}' has another shape for each batch; its samples cannot be told apart"
        ) from error


def restore_outputs(outputs: Mapping[str, Array], specs: Sequence[TensorSpec], *, raw: bool) -> Batch:
    """The outputs in the order of `specs`, as real numbers unless `raw`. Raises InputError where they do not fit."""
    with damage_as_input_error("the model's outputs"):
        if raw:
            return {spec.name: outputs[spec.name] for spec in specs}
        return {
            spec.name: dequantize(outputs[spec.name], spec.quantization)
            if spec.quantization is not None and _is_quantized(spec)
            else outputs[spec.name]
            for spec in specs
        }


def quantize(real: Array, quantization: Quantization, dtype: str) -> Array:
    """The integers of `real` (any shape), clipped to the dtype; ties go to even.

    Equal to the bit to LiteRT's own QUANTIZE op on its default (XNNPACK) kernels: the product with the float32 inverse
    of the scale, rounded to even. (Its reference kernels divide and round ties away from zero.)
    """
    scale, zero_point = _broadcast_parameters(quantization, real.ndim)
    limits = np.iinfo(dtype)
    # float32 throughout and in place: this runs once per evaluated sample.
    steps = np.multiply(real, np.float32(1) / scale, dtype=np.float32)
    np.rint(steps, out=steps)
    steps += zero_point
    np.clip(steps, limits.min, limits.max, out=steps)
    return steps.astype(dtype)


def dequantize(integers: Array, quantization: Quantization) -> Array:
    """The float32 numbers that quantized `integers` (any shape) stand for."""
    scale, zero_point = _broadcast_parameters(quantization, integers.ndim)
    real = integers.astype(np.float32)
    real -= zero_point
    real *= scale
    return real


def _broadcast_parameters(quantization: Quantization, rank: int) -> tuple[Array, Array]:
    """Scale and zero point as float32, shaped to broadcast along the axis of quantization."""
    scale, zero_point = (np.asarray(values, np.float32) for values in (quantization.scale, quantization.zero_point))
    if quantization.axis is None:
        return scale[0], zero_point[0]
    shape = [1] * rank
    shape[quantization.axis] = -1
    return scale.reshape(shape), zero_point.reshape(shape)


def batched_inputs(inputs: Sequence[TensorSpec]) -> frozenset[str]:
    """The inputs whose first axis is the batch: a free one, or a fixed one that all share and the worker loops over."""
    shared = all(spec.shape for spec in inputs) and len({spec.shape[0] for spec in inputs}) == 1
    return frozenset(spec.name for spec in inputs if spec.shape and (shared or spec.shape[0] is None))


def _is_quantized(spec: TensorSpec) -> bool:
    return spec.quantization is not None and np.dtype(spec.dtype).kind in "iu"


def _check_shape(array: Array, spec: TensorSpec, where: str, *, batched: bool) -> None:
    shape = (None, *spec.shape[1:]) if batched else spec.shape
    fits = array.ndim == len(shape) and all(w in (None, size) for w, size in zip(shape, array.shape, strict=True))
    if not fits:
        raise InputError(
            f"{where}: input '{spec.name}' takes shape {_format_shape(shape)}, got {_format_shape(array.shape)}"
        )


def _convert_dtype(array: Array, spec: TensorSpec, where: str, raw: bool) -> Array:
    dtype = np.dtype(spec.dtype)
    if array.dtype == dtype and (raw or not _is_quantized(spec)):
        return array
    if raw:
        raise InputError(f"{where}: raw input '{spec.name}' takes {spec.dtype}, got {array.dtype}")
    target = np.dtype(np.float32) if _is_quantized(spec) else dtype
    if array.dtype.kind not in "fiub" or not np.can_cast(array.dtype, target, "same_kind"):
        raise InputError(f"{where}: input '{spec.name}' takes {target}, got {array.dtype}")
    if spec.quantization is not None and _is_quantized(spec):
        if np.isnan(array).any():
            raise InputError(f"{where}: input '{spec.name}' holds NaN, which has no quantized value")
        return quantize(array, spec.quantization, spec.dtype)
    converted = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(converted, array):
        raise InputError(f"{where}: input '{spec.name}' takes {dtype}, and the {array.dtype} values do not fit into it")
    return converted


def _list_names(names: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"


def _format_shape(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape) or "scalar"
