"""The idx format of MNIST and its successors, plain or gzipped.

Format: two zero bytes, a type byte (0x08: unsigned byte), the number of dimensions, each dimension as a big-endian
32-bit integer, then the values, last dimension fastest (the MNIST database's own description).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from edgeship.errors import InputError
from edgeship.train.dataset import Array

UNSIGNED_BYTE = 0x08
# Usual names: with a dash as distributed, with a dot as some archives unpack them; compressed or not.
NAMES = {
    (part, kind): tuple(
        f"{part}-{kind}{separator}idx{dimensions}-ubyte{suffix}" for separator in "-." for suffix in ("", ".gz")
    )
    for part in ("train", "t10k")
    for kind, dimensions in (("images", 3), ("labels", 1))
}


def find_set(folder: Path) -> dict[tuple[str, str], Path] | None:
    """The four files of a data set, keyed by (train or t10k, images or labels); None unless all are in this folder."""
    paths = {
        key: next((folder / name for name in names if (folder / name).is_file()), None) for key, names in NAMES.items()
    }
    complete = {key: path for key, path in paths.items() if path}
    return complete if len(complete) == len(NAMES) else None


def read(path: Path, dimensions: int) -> Array:
    """The uint8 array in the file. Raises InputError where it is no such file or has other dimensions."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch it again") from error
    if len(data) < 4 or data[:2] != b"\0\0":
        raise InputError(f"{path}: not an idx file (it starts with {data[:4].hex() or 'nothing'})")
    kind, rank = data[2], data[3]
    if kind != UNSIGNED_BYTE or rank != dimensions:
        raise InputError(
            f"{path}: holds {rank}-dimensional values of type {kind:#04x}, "
            f"needed are {dimensions}-dimensional unsigned bytes (type 0x08)"
        )
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", data[4:start]) if len(data) >= start else ()
    if not shape or len(data) - start != math.prod(shape):
        raise InputError(
            f"{path}: truncated or damaged: its header says {'x'.join(map(str, shape)) or '?'} values, "
            f"it holds {max(0, len(data) - start)} bytes; fetch it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_set(folder: Path) -> tuple[Array, Array, Array, Array]:
    """Training images, training labels, test images, test labels: uint8 of shape (n, height, width) and (n,).

    Raises InputError where a file is missing or damaged, or images and labels do not belong together.
    """
    files = find_set(folder)
    if not files:
        usual_names = ", ".join(names[0] for names in NAMES.values())
        raise InputError(f"{folder}: not all four idx files are there; needed: {usual_names} (or each with .gz)")
    arrays = {key: read(path, 3 if key[1] == "images" else 1) for key, path in files.items()}
    for part in ("train", "t10k"):
        images, labels = arrays[part, "images"], arrays[part, "labels"]
        if len(images) != len(labels) or not len(images):
            raise InputError(f"{folder}: {part} has {len(images)} images but {len(labels)} labels")
    if arrays["train", "images"].shape[1:] != arrays["t10k", "images"].shape[1:]:
        raise InputError(f"{folder}: training and test images differ in size")
    return arrays["train", "images"], arrays["train", "labels"], arrays["t10k", "images"], arrays["t10k", "labels"]
