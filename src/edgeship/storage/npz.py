"""An `.npz` as it may come from a stranger: looked at before it is unpacked, and read array by array from front to back."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgeship import untrusted
from edgeship.errors import InputError, brief_message
from edgeship.untrusted import printable, shorten_text

Array = np.ndarray[Any, Any]

HINT = (
    "a data file is an .npz with one array per model input under the input's name (a single input may be called x), "
    "samples along the first axis; y holds the labels"
)


def open_archive(path: Path) -> zipfile.ZipFile:
    """An `.npz`, looked at as a zip file. Raises InputError for what is none, or would unpack to more than the limits."""
    if not path.exists():
        raise InputError(f"{printable(path)}: no such file; {HINT}")
    untrusted.regular_file(path, links=True)
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises what it likes for a damaged directory
        raise InputError(f"{printable(path)}: not an .npz file ({printable(error)}); {HINT}") from error
    try:
        _check_archive(archive, path)
    except BaseException:
        archive.close()
        raise
    return archive


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    untrusted.check_unpacked(path, archive)
    if strange := [item.filename for item in archive.infolist() if not item.filename.endswith(".npy")]:
        raise InputError(
            f"{printable(path)}: holds '{shorten_text(printable(strange[0]))}', which is no array; save it with np.savez"
        )
    if any(item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for item in archive.infolist()):
        raise InputError(f"{printable(path)}: compressed in a way that numpy does not write; save it with np.savez")


class Member:
    """One array of an `.npz`, read front to back without ever holding all of it."""

    def __init__(self, archive: zipfile.ZipFile, name: str, where: Path) -> None:
        label = f"{printable(where)}: array '{printable(name)}'"
        try:
            self._stream: IO[bytes] = archive.open(f"{name}.npy")
            self.shape, self._fortran, self.dtype = _read_header(self._stream)
        except Exception as error:  # numpy's header is Python source; what its parser raises is not documented
            raise InputError(f"{label} cannot be read ({printable(brief_message(error, 160))}); {HINT}") from error
        if self.dtype.hasobject:
            raise InputError(f"{label} holds Python objects, not numbers")
        if self.dtype.subdtype:
            raise InputError(f"{label} is one of arrays ({self.dtype}), not of numbers; save it again with np.savez")
        self._where, self._left = where, archive.getinfo(f"{name}.npy").file_size - self._stream.tell()
        if any(size < 0 for size in self.shape) or prod(self.shape) * self.dtype.itemsize > self._left:
            raise InputError(
                f"{label} is {shape_text(self.shape)} {self.dtype} by its header, but has {self._left:,} bytes"
            )
        self.name = label

    def check_streamed(self) -> None:
        """Raise InputError for what is no array of samples in C order."""
        if self._fortran and len(self.shape) > 1:
            raise InputError(f"{self.name} is in Fortran order; save np.ascontiguousarray of it")
        if not self.shape:
            raise InputError(f"{self.name} is a scalar; samples go along the first axis")
        sample = untrusted.count_elements(self.shape[1:], self.dtype.itemsize, self.name) * self.dtype.itemsize
        if self.shape[0] and not sample:
            raise InputError(f"{self.name} has no numbers in a sample ({shape_text(self.shape[1:])} {self.dtype})")

    def read(self, samples: int) -> Array:
        """The next so many samples. Raises InputError where the file ends before them."""
        shape = (samples, *self.shape[1:])
        size = prod(shape) * self.dtype.itemsize
        with untrusted.damage_as_input_error(self._where):
            data = self._stream.read(size)
        if len(data) != size:
            raise InputError(f"{self.name} ends in the middle; write it again")
        return np.frombuffer(data, self.dtype).reshape(shape)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(stream)
    return header


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """The names of its arrays."""
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape for a message, as `28x28x1`."""
    return "x".join("?" if size is None else str(size) for size in shape) or "() (one number each)"
