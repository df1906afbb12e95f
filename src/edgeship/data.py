"""Representative and evaluation data: a sized stream of `{input name: array}` batches with a content digest.

Sources: an `.npz` file, a folder of `.npz` shards (in the order of their names), or `package.module:attribute` naming an
iterable of `{input name: array}` batches or a function that returns one. One array per model input under the input's
name (a single input may be called `x`), samples along the first axis; `y` (or `y_<output>`) holds labels.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import untrusted
from edgeship.errors import InputError, brief_message
from edgeship.processes.working_folder import make_importable
from edgeship.storage import digest, npz
from edgeship.types import TensorSpec
from edgeship.untrusted import LIMITS, printable

Array = np.ndarray[Any, Any]
Batch = dict[str, Array]

HINT = npz.HINT


def is_label(name: str) -> bool:
    """Whether an array of a data file holds labels rather than an input."""
    return name == "y" or name.startswith("y_")


class _Shard:
    """One `.npz` file: the shapes of its arrays, its labels, and its inputs as a stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with npz.open_archive(path) as archive:
            names = npz.array_names(archive)
            heads = {name: npz.Member(archive, name, path) for name in names}
        if not names:
            raise InputError(f"{printable(path)}: no array in it; {HINT}")
        for head in heads.values():
            head.check_streamed()
        self.inputs = tuple(name for name in names if not is_label(name))
        sizes = {name: head.shape[0] for name, head in heads.items()}
        if len(set(sizes.values())) > 1:
            raise InputError(f"{printable(path)}: the arrays have different numbers of samples: {printable(sizes)}")
        self.samples = sizes[names[0]]
        self.shapes = {name: heads[name].shape[1:] for name in names}
        self.dtypes = {name: heads[name].dtype for name in names}

    def labels(self, names: Iterable[str]) -> Batch:
        with npz.open_archive(self.path) as archive:
            return {name: npz.Member(archive, name, self.path).read(self.samples) for name in names}

    def batches(self, size: int, names: Iterable[str]) -> Iterator[Batch]:
        with npz.open_archive(self.path) as archive:
            members = {name: npz.Member(archive, name, self.path) for name in names}
            for start in range(0, self.samples, size):
                count = min(size, self.samples - start)
                yield {name: member.read(count) for name, member in members.items()}


class RepresentativeDataset:
    """A sized stream of samples with a content digest; never holds all of it in memory.

    Attributes: `source` as given, `path` (its file or folder: what another process reads, so that all of them see the same
    samples), `inputs` (its arrays that are no labels by name), `shapes` and `dtypes` per array (without the sample axis),
    `digest` (sha256 of content: the same data gives the same digest wherever it lies).
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self.source = os.fspath(source)
        path = Path(self.source)
        if untrusted.is_code(self.source) and not path.exists():
            path = _materialize_source(self.source)
        self.path = path
        files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{path}: no .npz shard in this folder; {HINT}")
        if len(files) > untrusted.limits().files:
            most = untrusted.limits().files
            raise InputError(f"{printable(path)}: more than {most:,} .npz files ({LIMITS}=files=... allows more)")
        self._shards = [_Shard(file) for file in files]
        first = self._shards[0]
        for shard in self._shards[1:]:
            if shard.shapes != first.shapes or shard.dtypes != first.dtypes:
                raise InputError(f"{shard.path}: its arrays do not match those of {first.path.name}")
        self.inputs, self.shapes, self.dtypes = first.inputs, first.shapes, first.dtypes
        if len(self) == 0:
            raise InputError(f"{self.source}: empty, it holds no sample")
        content = hashlib.sha256()
        for file in files:
            with file.open("rb") as stream:
                content.update(hashlib.file_digest(stream, "sha256").digest())
        self.digest = content.hexdigest()

    def __len__(self) -> int:
        """The number of samples."""
        return sum(shard.samples for shard in self._shards)

    def batches(self, size: int, limit: int | None = None, names: Iterable[str] | None = None) -> Iterator[Batch]:
        """The inputs (or the named arrays), at most `size` samples at a time.

        With a `limit`, that many samples spread evenly over the data.
        """
        array_names = self.inputs if names is None else tuple(names)
        indices = self._sample_indices(limit)
        start = 0
        for shard in self._shards:
            for batch in shard.batches(size, array_names):
                count = len(next(iter(batch.values())))
                first, last = np.searchsorted(indices, (start, start + count))
                rows = indices[first:last] - start
                start += count
                if len(rows) == count:
                    yield batch
                elif len(rows):
                    yield {name: array[rows] for name, array in batch.items()}

    def labels(self, limit: int | None = None, inputs: Sequence[TensorSpec] = ()) -> Batch:
        """The label arrays, `y` and `y_<output>`, of the samples that `batches` gives; empty where the source has none.

        An array that is called like one of the model's `inputs` feeds that input and is no label.
        """
        input_names = {spec.name for spec in inputs}
        names = [name for name in self.shapes if is_label(name) and name not in input_names]
        parts = [shard.labels(names) for shard in self._shards]
        indices = self._sample_indices(limit)
        return {name: np.concatenate([part[name] for part in parts])[indices] for name in parts[0]}

    def column(self, name: str, limit: int | None = None) -> Array:
        """One array of the samples that `batches` gives, such as the part of the data that each belongs to."""
        return np.concatenate([shard.labels([name])[name] for shard in self._shards])[self._sample_indices(limit)]

    def _sample_indices(self, limit: int | None) -> Array:
        """The indices of the samples that a limit leaves: the data may be sorted, so not just the first ones."""
        total = len(self)
        return (
            np.arange(total)
            if limit is None or limit >= total
            else np.linspace(0, total - 1, limit).round().astype(np.int64)
        )

    def match_inputs(self, inputs: Sequence[TensorSpec]) -> Mapping[str, str]:
        """Which array feeds which model input: `{input name: array name}`.

        Raises InputError where a name is missing, a shape does not fit, or a dtype would lose information.
        """
        names = {spec.name: spec.name for spec in inputs}
        if len(inputs) == 1 and inputs[0].name not in self.inputs and "x" in self.inputs:
            names = {inputs[0].name: "x"}
        missing = [name for name in names if names[name] not in self.shapes]
        if missing:
            raise InputError(
                f"{self.source}: no array for model input {', '.join(repr(name) for name in missing)} "
                f"(it has: {printable(', '.join(self.shapes))}); {HINT}"
            )
        for spec in inputs:
            self._check_input(spec, names[spec.name])
        return names

    def _check_input(self, spec: TensorSpec, array: str) -> None:
        shape, dtype = self.shapes[array], self.dtypes[array]
        input_shape = spec.shape[1:]
        if len(shape) != len(input_shape) or any(w not in (None, s) for w, s in zip(input_shape, shape, strict=True)):
            raise InputError(
                f"{self.source}: array '{array}' has samples of shape {npz.shape_text(shape)}, "
                f"model input '{spec.name}' takes {npz.shape_text(input_shape)}{_way_out(shape, input_shape)}"
            )
        if np.dtype(spec.dtype) != dtype and not np.can_cast(dtype, spec.dtype, "same_kind"):
            raise InputError(f"{self.source}: array '{array}' is {dtype}, model input '{spec.name}' takes {spec.dtype}")

    def feeds(self, inputs: Sequence[TensorSpec], size: int, limit: int | None = None) -> Iterator[Batch]:
        """Batches under the model's own input names and dtypes.

        Raises InputError on NaN, infinity, and whole numbers that the model's dtype cannot hold.
        """
        names = self.match_inputs(inputs)
        for batch in self.batches(size, limit, dict.fromkeys(names.values())):
            yield {spec.name: self._cast_array(names[spec.name], batch[names[spec.name]], spec) for spec in inputs}

    def _cast_array(self, name: str, array: Array, spec: TensorSpec) -> Array:
        result = array.astype(spec.dtype, copy=False)
        if result.dtype.kind == "f" and not np.isfinite(result).all():
            raise InputError(f"{self.source}: array '{name}' holds NaN or infinity; clean the data first")
        if result.dtype.kind in "iu" and result.dtype != array.dtype and (result != array).any():
            raise InputError(
                f"{self.source}: array '{name}' runs from {array.min()} to {array.max()}, which the {spec.dtype} of model "
                f"input '{spec.name}' cannot hold"
            )
        return result


def _way_out(shape: Sequence[int], input_shape: Sequence[int | None]) -> str:
    """How samples of a nearly right shape become right ones, where that is plain to see."""
    if [size for size in shape if size != 1] == [size for size in input_shape if size != 1] and None not in input_shape:
        return f"; reshape it: array.reshape({', '.join(map(str, (-1, *input_shape)))})"
    if None not in input_shape and sorted(shape) == sorted(size for size in input_shape if size is not None):
        return "; its axes are in another order: transpose it"
    return ""


def save(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays as an uncompressed `.npz`, which can be streamed."""
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy's stub knows of no array names


def load(path: Path) -> Batch:
    """All arrays of a small `.npz`. Raises InputError, naming the file, where it is damaged or too large."""
    with untrusted.damage_as_input_error(path):
        with npz.open_archive(path) as archive:
            for name in npz.array_names(archive):
                head = npz.Member(archive, name, path)
                untrusted.count_elements(head.shape, head.dtype.itemsize, head.name)
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)


def arrays_digest(arrays: Mapping[str, Array]) -> str:
    """The digest of arrays held in memory."""
    return digest.of_json(
        {
            name: [array.dtype.str, list(array.shape), hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()]
            for name, array in arrays.items()
        }
    )


def _materialize_source(source: str) -> Path:
    """Write what `package.module:attribute` yields to shards, so that it can be sized and digested, until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="edgeship-data-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    place = folder / source.replace("/", "-")[:100]  # errors name the files in it
    place.mkdir()
    count = 0
    for count, batch in enumerate(_iterate_source(source), 1):
        save(place / f"{count:06d}.npz", batch)
    if not count:
        raise InputError(f"data source '{source}' yields nothing")
    return place


def _iterate_source(source: str) -> Iterator[Batch]:
    """The batches of `package.module:attribute`, of an installed module or one in the working folder."""
    module_name, _, attribute = source.partition(":")
    try:
        with make_importable(module_name):  # also for what the module imports while it yields
            value = getattr(importlib.import_module(module_name), attribute)
            for batch in value() if callable(value) else value:
                if not isinstance(batch, Mapping):
                    raise InputError(
                        f"data source '{source}' yields {type(batch).__name__}, not a mapping of input name to array"
                    )
                yield {name: np.asarray(array, order="C") for name, array in batch.items()}
    except InputError:
        raise
    except Exception as error:  # a user's module can fail in any way
        raise InputError(
            f"data source '{source}': {brief_message(error, 160)} ({type(error).__name__}); "
            "give an .npz, a folder of .npz, or package.module:attribute"
        ) from error
