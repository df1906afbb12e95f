"""How two processes talk: one line of JSON, then the raw bytes of the arrays that it announces.

Standard library and numpy only: this file also runs beside the worker on a board or under an emulator.
"""

from __future__ import annotations

import json
from io import BufferedIOBase
from typing import IO, Any

import numpy as np

Arrays = dict[str, "np.ndarray[Any, Any]"]


def send(stream: IO[bytes], header: dict[str, Any], arrays: Arrays | None = None) -> None:
    """Write one message; arrays travel C-contiguous and little-endian, as their numpy dtype name says."""
    packed = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    # ascontiguousarray turns a scalar into a vector, so the shape is taken from what was given.
    described = [
        {"name": name, "dtype": packed[name].dtype.str, "shape": list(np.shape(array))}
        for name, array in (arrays or {}).items()
    ]
    stream.write(json.dumps({**header, "arrays": described}).encode() + b"\n")
    for array in packed.values():
        stream.write(array.reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: IO[bytes] | BufferedIOBase) -> tuple[dict[str, Any], Arrays]:
    """Read one message. Raises EOFError where the other side has gone, also in the middle of a message."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the other side closed the stream")
    header = json.loads(line)
    arrays: Arrays = {}
    for item in header.pop("arrays"):
        dtype = np.dtype(item["dtype"])
        array = np.empty(item["shape"], dtype)
        view = array.reshape(-1).view(np.uint8).data
        filled = 0
        while filled < len(view):
            count = stream.readinto(view[filled:])  # type: ignore[union-attr]
            if not count:
                raise EOFError("the other side closed the stream in the middle of an array")
            filled += count
        arrays[item["name"]] = array
    return header, arrays
