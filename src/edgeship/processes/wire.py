"""How two processes talk: one line of JSON, then the raw bytes of the arrays that it announces.

Standard library and numpy only: this file also runs beside the worker on a board or under an emulator.
"""

from __future__ import annotations

import json
import math
from io import BufferedIOBase
from typing import IO, Any

import numpy as np

Arrays = dict[str, "np.ndarray[Any, Any]"]
# What a message may announce: a child that has gone wrong must not make its parent take all memory.
HEADER_BYTES = 256 << 20
ARRAY_BYTES = 8 << 30


class MessageError(ValueError):
    """What came is no message."""


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
    """Read one message.

    Raises EOFError where the other side has gone, also in the middle of a message, MessageError for what is none.
    """
    line = stream.readline(HEADER_BYTES)
    if len(line) == HEADER_BYTES:
        raise MessageError(f"a header of more than {HEADER_BYTES} bytes")
    if not line.endswith(b"\n"):
        raise EOFError("the other side closed the stream")
    try:
        header = json.loads(line)
        described = [(str(item["name"]), *_describe_array(item)) for item in header.pop("arrays")]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise MessageError(f"no header of a message ({type(error).__name__}: {str(error)[:100]})") from error
    arrays: Arrays = {}
    for name, shape, dtype in described:
        try:
            array = np.empty(shape, dtype)
        except (ValueError, MemoryError) as error:
            raise MessageError(f"an array of {shape} {dtype} ({type(error).__name__})") from error
        view = array.reshape(-1).view(np.uint8).data
        filled = 0
        while filled < len(view):
            count = stream.readinto(view[filled:])  # type: ignore[union-attr]
            if not count:
                raise EOFError("the other side closed the stream in the middle of an array")
            filled += count
        arrays[name] = array
    return header, arrays


def _describe_array(item: dict[str, Any]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape, dtype = tuple(item["shape"]), np.dtype(item["dtype"])
    if dtype.hasobject or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError("an array of another kind")
    if math.prod(shape) * dtype.itemsize > ARRAY_BYTES:
        raise ValueError(f"an array of more than {ARRAY_BYTES} bytes")
    return shape, dtype
