"""What an app has in hand, brought to the model's input as the bundle's contract says (`deploy/contract/preprocess.py`).

A request asks for it by the input's parameter `raw: true`, or by BYTES, which no model takes:

======  ==============================================================================================================
image   BYTES, a PNG, JPEG, WebP or BMP file an element (base64 in JSON); or UINT8 (h, w, c) or (n, h, w, c) with `raw`
audio   INT16 (frames, channels) or (n, frames, channels) with `raw`
window  FP32 (t, c) or (n, t, c) with `raw`
table   BYTES, a text a column: (columns) or (n, columns)
text    BYTES, a text a sample: (n)
======  ==============================================================================================================
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from kserve import InferInput

from edgeship.data import Array
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.errors import InputError
from edgeship.serving.rest.host.protocol.payload import from_base64, read_array, read_bytes
from edgeship.untrusted import printable

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
MOST_PIXELS = 50_000_000
MOST_SAMPLES = 256  # raw samples of one request: each takes milliseconds
AXES = {"image": 3, "audio": 2, "window": 2}
ORIENTATION = 274  # EXIF's tag


def is_raw(tensor: InferInput) -> bool:
    """Whether preprocessing is asked for."""
    return tensor.datatype == "BYTES" or (tensor.parameters or {}).get("raw") is True


def read_raw(tensor: InferInput, item: ContractInput | None) -> Array:
    """The model's input (n, ...) for raw samples. Raises InputError for what the contract does not take."""
    where = f"input '{tensor.name}'"
    if item is None or item.kind == "tensor":
        raise InputError(f"{where}: its contract says no preprocessing; send the numbers that the model takes")
    samples = _samples(tensor, item, where)
    if not samples:
        raise InputError(f"{where}: no sample")
    if len(samples) > MOST_SAMPLES:
        raise InputError(f"{where}: {len(samples)} raw samples, at most {MOST_SAMPLES} are taken")
    values = np.concatenate([preprocess_input(item, raw, orientation) for raw, orientation in samples])
    return values.astype(item.tensor.dtype)  # the places of categories may be whole numbers


def _samples(tensor: InferInput, item: ContractInput, where: str) -> Sequence[tuple[Any, int]]:
    if item.kind == "table":
        return [(row, 1) for row in _rows(tensor, item, where)]
    if item.kind == "text":
        if tensor.datatype != "BYTES" or len(tensor.shape) != 1:
            raise InputError(f"{where}: texts are sent as BYTES of the shape (n)")
        return [(text, 1) for text in _read_texts(tensor, where)]
    if tensor.datatype == "BYTES":
        if item.kind != "image":
            raise InputError(
                f"{where}: {item.kind} is sent as {item.raw.dtype} numbers with the parameter raw, not as BYTES"
            )
        files = read_bytes(tensor)
        if tensor._raw_data is None and not all(isinstance(element, bytes) for element in tensor.data):
            files = [from_base64(element, where) for element in files]
        return [_read_picture(content, where) for content in files[: MOST_SAMPLES + 1]]
    array = read_array(tensor)
    axes = AXES[item.kind]
    if array.ndim not in (axes, axes + 1):
        raise InputError(f"{where}: raw {item.kind} has {axes} axes, or {axes + 1} for several, not {array.ndim}")
    return [(sample, 1) for sample in (array[None] if array.ndim == axes else array)]


def _rows(tensor: InferInput, item: ContractInput, where: str) -> list[list[str]]:
    if tensor.datatype != "BYTES":
        raise InputError(f"{where}: a row is sent as BYTES, a text a column")
    columns = len(item.raw.columns)
    if not tensor.shape or tensor.shape[-1] != columns or len(tensor.shape) > 2:
        raise InputError(f"{where}: rows have the shape ({columns}) or (n, {columns}), not {list(tensor.shape)}")
    texts = _read_texts(tensor, where)
    return [texts[start : start + columns] for start in range(0, len(texts), columns)]


def _read_texts(tensor: InferInput, where: str) -> list[str]:
    try:
        return [element.decode() for element in read_bytes(tensor)]
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: a text is UTF-8") from error


def _read_picture(content: bytes, where: str) -> tuple[Array, int]:
    """The pixels (h, w, c), uint8, of a file, and its EXIF orientation."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise InputError(
                    f"{where}: {picture.width} x {picture.height} pixels, at most {MOST_PIXELS:,} are taken"
                )
            orientation = picture.getexif().get(ORIENTATION, 1)
            opaque = "transparency" not in picture.info and picture.mode not in ("RGBA", "LA", "PA")
            mode = "L" if picture.mode in ("1", "L") and opaque else "RGB" if opaque else "RGBA"
            if picture.mode.startswith(("I", "F")):
                raise InputError(f"{where}: pictures have 8 bits a channel, this one more")
            pixels = np.asarray(picture.convert(mode))
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise what they like over a damaged file
        reason = printable(error)[:100]
        raise InputError(f"{where}: no {', '.join(FORMATS)} picture can be read from it ({reason})") from error
    known = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    return (pixels[:, :, None] if pixels.ndim == 2 else pixels), known
