"""Size of an artifact on disk and on the wire (measuring.md 7)."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import brotli

from edgeship.bundle.figures.measurement import ArtifactSizes, FileSizes
from edgeship.errors import InputError

KINDS = ("disk", "gzip", "brotli")


def files_of(path: Path) -> list[Path]:
    """The files that make up an artifact: a `.tflite`, an `.onnx` with its external data, all of a TF.js folder.

    Raises InputError where there is nothing.
    """
    folder = path if path.is_dir() else path.parent if path.name == "model.json" else None
    if folder is not None:
        files = sorted(item for item in folder.rglob("*") if item.is_file())
    else:
        files = [item for item in (path, path.with_name(path.name + ".data")) if item.is_file()]
    if not files:
        raise InputError(f"{path}: no such artifact")
    return files


def gzip_bytes(data: bytes) -> int:
    """The size of `gzip -9`'s output without a file name in its header, in bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return len(packer.compress(data)) + len(packer.flush())


def brotli_bytes(data: bytes) -> int:
    """The size as web servers and CDNs serve it: brotli quality 11, default window (22), in bytes."""
    return len(brotli.compress(data, quality=11))


def measure(path: Path) -> ArtifactSizes:
    """Bytes on disk, gzipped and packed by brotli, summed over the artifact's files, and of each file.

    Compression runs side by side on all cores: both compressors let other threads run.
    """
    files = files_of(path)
    base = files[0].parent if len(files) == 1 or not path.is_dir() else path
    contents = [file.read_bytes() for file in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        brotlis = pool.map(brotli_bytes, contents)
        gzips = list(pool.map(gzip_bytes, contents))
        sizes = {
            file.relative_to(base).as_posix(): FileSizes(len(data), gzipped, packed)
            for file, data, gzipped, packed in zip(files, contents, gzips, brotlis, strict=True)
        }
    disk, gzip, packed = (sum(getattr(item, kind) for item in sizes.values()) for kind in KINDS)
    return ArtifactSizes(disk, gzip, packed, sizes)
