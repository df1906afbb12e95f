"""The files of raw goldens in `goldens/raw/` of a bundle, little endian in C order, all cases one after the other.

`<input>.raw`, `<input>.tensor` (float32), `<output>.<artifact>` and `<output>.server` (float32, dequantized). The contract lists
the cases with the sizes of their raw values; a tensor and an output are as large in each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Array
from edgeship.deploy.contract.contract import FOLDER, GoldenCase, RawSize
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import damage_as_input_error, place_within, printable, regular_file

DTYPES = {"uint8": "u1", "int16": "<i2", "float32": "<f4", "text": "u1"}
LONGEST_ROW = 1 << 20  # bytes of the texts of a row


@dataclass(frozen=True)
class RawSample:
    """One input's raw value: an array, the texts of a row, or one text; `orientation` is EXIF's."""

    value: Array | tuple[str, ...] | str
    orientation: int = 1

    @property
    def size(self) -> RawSize:
        """Its size as a contract has it."""
        if isinstance(self.value, str):
            return RawSize(shape=(len(self.value.encode()),))
        if not isinstance(self.value, np.ndarray):
            return RawSize()
        shape = self.value.shape
        if self.value.dtype == np.uint8:
            return RawSize(shape[0], shape[1], shape[2], self.orientation)
        if self.value.dtype == np.int16:
            return RawSize(channels=shape[1], frames=shape[0])
        return RawSize(shape=shape)

    def to_bytes(self) -> bytes:
        """What its file holds."""
        if isinstance(self.value, str):
            return self.value.encode()
        if not isinstance(self.value, np.ndarray):
            return "".join(f"{text}\n" for text in self.value).encode()
        return np.ascontiguousarray(self.value, DTYPES[self.value.dtype.name]).tobytes()


def float_bytes(values: Array) -> bytes:
    """What the files of tensors and outputs hold of a case."""
    return np.ascontiguousarray(values, "<f4").tobytes()


def read_raw(root: Path, item: ContractInput, cases: Sequence[GoldenCase]) -> list[bytes]:
    """The raw value of an input for each case of a contract.

    Raises InputError where the file is not there, or is not as large as the contract says.
    """
    if item.kind == "table":
        path, content = _read_file(root, f"{item.name}.raw", len(cases) * LONGEST_ROW)
        lines, columns = content.split(b"\n"), len(item.raw.columns)
        if len(lines) != len(cases) * columns + 1 or lines[-1]:
            raise _size_error(path)
        starts = range(0, len(cases) * columns, columns)
        return [b"".join(line + b"\n" for line in lines[start : start + columns]) for start in starts]
    sizes = [_count_bytes(item, case.input[item.name]) for case in cases]
    path, content = _read_file(root, f"{item.name}.raw", sum(sizes))
    if len(content) != sum(sizes):
        raise _size_error(path)
    return list(_part(content, sizes))


def decode_raw(content: bytes, item: ContractInput, size: RawSize) -> RawSample:
    """The raw value of one case. Raises InputError where it is none."""
    with damage_as_input_error(f"{FOLDER}/{item.name}.raw"):
        if item.kind == "table":
            return RawSample(tuple(content.decode().removesuffix("\n").split("\n")))
        if item.kind == "text":
            return RawSample(content.decode())
        values = np.frombuffer(content, DTYPES[item.raw.dtype])
        return RawSample(values.reshape(_find_shape(item, size)).astype(item.raw.dtype), size.orientation)


def read_rows(root: Path, name: str, shape: Sequence[int | None], count: int) -> list[bytes]:
    """What a file of tensors or outputs, each of that shape, holds of each of `count` cases; None is as many as there are.

    Raises InputError where it is not there or has another size.
    """
    path = regular_file(place_within(root, f"{FOLDER}/{name}"))
    size, least = path.stat().st_size, 4 * count * prod(axis or 1 for axis in shape)
    if size < least or size % (4 * count) or (None not in shape and size != least):
        raise _size_error(path)
    return list(_part(path.read_bytes(), [size // count] * count))


def _read_file(root: Path, name: str, most: int) -> tuple[Path, bytes]:
    """A file of the folder and what it holds. What is larger than it may be is not read."""
    path = regular_file(place_within(root, f"{FOLDER}/{name}"))
    if path.stat().st_size > most:
        raise _size_error(path)
    return path, path.read_bytes()


def _size_error(path: Path) -> InputError:
    return InputError(f"{printable(path)}: does not have the size that the contract says")


def _find_shape(item: ContractInput, size: RawSize) -> tuple[Any, ...]:
    if item.kind == "image":
        return size.height, size.width, size.channels
    if item.kind == "audio":
        return size.frames, size.channels
    return tuple(size.shape or ())


def _count_bytes(item: ContractInput, size: RawSize) -> int:
    return int(prod(axis or 0 for axis in _find_shape(item, size)) * np.dtype(DTYPES[item.raw.dtype]).itemsize)


def _part(content: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for size in sizes:
        yield content[start : start + size]
        start += size
