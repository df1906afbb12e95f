"""A sample as it is kept and sent: a line of JSON, then the numbers of its tensors, little-endian, one tensor after the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgeship.client.outcome import ClientError

KIND, SCHEMA = "edgeship-sample", 1
DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")


def encode_tensors(inputs: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bytes] | None:
    """What a sample's header says of its tensors, by their names, and their numbers; None where one is not finite.

    `inputs`: of one sample, with or without the batch's axis. Raises ClientError for what is no numbers.
    """
    import numpy as np

    described, parts = [], []
    for name, values in sorted(inputs.items()):
        tensor = np.asarray(values)
        if tensor.dtype.name not in DTYPES:
            raise ClientError(f"'{name}' is {tensor.dtype.name[:40]}; samples are of numbers: {', '.join(DTYPES)}")
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            return None
        described.append({"name": name, "dtype": tensor.dtype.name, "shape": list(tensor.shape)})
        parts.append(tensor.astype(tensor.dtype.newbyteorder("<"), order="C").tobytes())
    return described, b"".join(parts)


def encode_sample(fields: Mapping[str, Any], tensors: Sequence[Mapping[str, Any]], content: bytes) -> bytes:
    """The bytes of a sample. `fields`: of the header, beside its tensors."""
    header = {"kind": KIND, "schema": SCHEMA, **fields, "inputs": tensors}
    return json.dumps(header, separators=(",", ":")).encode() + b"\n" + content
