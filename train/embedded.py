"""The data files that come with the project: an uncompressed `.npz` inside `.xz`, checked against a known digest."""

from __future__ import annotations

import io
import lzma
from pathlib import Path

import numpy as np

from edgeship.errors import InputError
from edgeship.train.dataset import Array, digest_of

FOLDER = Path(__file__).parent / "data"


def write(path: Path, arrays: dict[str, Array]) -> str:
    """Store the arrays; returns the digest to be written into the code that reads them."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    path.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    return digest_of(*(arrays[name] for name in sorted(arrays)))


def read(path: Path, digest: str) -> dict[str, Array]:
    """The arrays of the file. Raises InputError where it is missing, damaged or holds something else."""
    advice = "this installation is incomplete or damaged: install edgeship again"
    try:
        with lzma.open(path) as stream:
            content = io.BytesIO(stream.read())
        with np.load(content, allow_pickle=False) as archive:
            arrays: dict[str, Array] = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {advice}") from error
    except (lzma.LZMAError, EOFError, ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {advice}") from error
    content_digest = digest_of(*(arrays[name] for name in sorted(arrays)))
    if content_digest != digest:
        raise InputError(f"{path}: its content has sha256 {content_digest[:12]}, expected {digest[:12]}; {advice}")
    return arrays
